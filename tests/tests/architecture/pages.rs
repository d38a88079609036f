//! What the project's pages say of its own files: links and anchors lead somewhere, and what is named as holding a control is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{ROOT, sources};

/// Folders that are made by builds and tools.
const MADE: [&str; 5] = ["node_modules", "target", "dist", "out", "cdk.out"];
/// Folders that a path in a page begins with.
const ROOMS: [&str; 10] =
    ["crates/", "modules/", "functions/", "cli/", "infra/", "tests/", "docs/", "schemas/", "scripts/", "fuzz/"];

/// Every page of the repository.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !MADE.contains(&name.as_str()) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// A page's lines outside of fences, without what stands in backticks.
fn prose(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line.split('`').step_by(2).collect::<Vec<_>>().join("`"));
        }
    }
    lines
}

/// Targets of a page's links, those by reference too.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for rest in line.split("](").skip(1) {
            found.extend(rest.split(')').next().map(|target| target.split(' ').next().unwrap_or_default().to_owned()));
        }
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push(target.trim().to_owned());
        }
    }
    found
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = |letter: char| letter.is_alphanumeric() || " -_".contains(letter);
        let base: String = heading.trim().to_lowercase().chars().filter(|letter| kept(*letter)).collect();
        let base = base.replace(' ', "-");
        let mut anchor = base.clone();
        for number in 1.. {
            if found.insert(anchor.clone()) {
                break;
            }
            anchor = format!("{base}-{number}");
        }
    }
    found
}

/// What is wrong with the links of a page that lies at `path`.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for link in links(text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let target = if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
        if !target.exists() {
            faults.push(format!("{}: {link} leads nowhere", path.display()));
        } else if let Some(anchor) = anchor {
            let there = if file.is_empty() { text.to_owned() } else { std::fs::read_to_string(&target).unwrap() };
            if !anchors(&there).contains(anchor) {
                faults.push(format!("{}: {link}: there is no such heading", path.display()));
            }
        }
    }
    faults
}

/// What stands in backticks outside of fences.
fn quoted(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Paths that a page in `folder` names, and that are neither in the repository, nor beside the page, nor in a module.
fn missing_paths(folder: &Path, text: &str) -> Vec<String> {
    let root = Path::new(ROOT);
    let places = [root, folder, &root.join("modules/example"), &root.join("modules/azure")];
    let mut missing = Vec::new();
    for span in quoted(text) {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
        let path = ROOMS.iter().any(|room| span.starts_with(room)) && span.chars().all(plain);
        // A user's own configuration and a kind that is to be written are named before they are there.
        if path
            && span != "infra/config.yaml"
            && !span.contains("KIND")
            && !places.iter().any(|place| place.join(&span).exists())
        {
            missing.push(span);
        }
    }
    missing
}

/// Whether a file, a function in Rust, or a test of a title is called so.
fn is_held(name: &str, code: &str, titles: &str) -> bool {
    let file = name.contains(['/', '.']) && !name.contains(' ');
    let title = if name.contains(' ') { name.to_owned() } else { format!("\"{name}\"") };
    (file && Path::new(ROOT).join(name).is_file()) || code.contains(&format!("fn {name}(")) || titles.contains(&title)
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    let mut found = Vec::new();
    pages(Path::new(ROOT), &mut found);
    assert!(found.len() > 20, "only {} pages", found.len());
    let faults: Vec<String> =
        found.iter().flat_map(|path| broken(path, &std::fs::read_to_string(path).unwrap())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn paths_that_pages_name_exist() {
    let mut found = Vec::new();
    pages(Path::new(ROOT), &mut found);
    for path in found {
        let missing = missing_paths(path.parent().unwrap(), &std::fs::read_to_string(&path).unwrap());
        assert!(missing.is_empty(), "{}: not there: {}", path.display(), missing.join(", "));
    }
}

/// The last column of the tables of threats names what holds each control.
#[test]
fn what_holds_a_control_is_there() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/SECURITY.md")).unwrap();
    let section = page.split("\n## Threats").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut files = Vec::new();
    for folder in ["crates", "modules", "functions", "cli", "tests"] {
        sources(&Path::new(ROOT).join(folder), &mut files);
    }
    let code: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let tests = std::fs::read_dir(format!("{ROOT}/infra/test")).unwrap().map(|entry| entry.unwrap().path());
    let mut titles: String =
        tests.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for script in
        ["modules/azure/scripts/configure-secrets-manager.bats", "modules/azure/terraform/tests/module.tftest.hcl"]
    {
        titles.push_str(&std::fs::read_to_string(format!("{ROOT}/{script}")).unwrap());
    }
    let mut controls = 0;
    for row in section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat")) {
        let held = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let names = quoted(held);
        assert!(!names.is_empty(), "nothing holds: {row}");
        for name in names {
            assert!(is_held(&name, &code, &titles), "no such test or function: {name}");
        }
        controls += 1;
    }
    assert!(controls > 15, "only {controls} controls were read");
}

#[test]
fn a_planted_fault_is_found() {
    let here = Path::new(ROOT).join("README.md");
    let page = "# One two\n\n## `a` b: c\n\n## a b c\n[1](ARCHITECTURE.md) [2](#a-b-c) [3](#a-b-c-1) [4](ARCHITECTURE.md#invariants)\n";
    assert_eq!(broken(&here, page), Vec::<String>::new());
    for planted in ["[x](ARCHITECTUR.md)", "[x](#a-b-d)", "[x](ARCHITECTURE.md#nowhere)", "[x]: docs/NOWHERE.md"] {
        assert_eq!(broken(&here, &format!("{page}{planted}\n")).len(), 1, "{planted}");
    }
    assert_eq!(broken(&here, "```\n[x](nowhere.md)\n```\n`[x](nowhere.md)`\n"), Vec::<String>::new());
    assert_eq!(missing_paths(Path::new(ROOT), "`crates/json` `crates/jsom` `crates/{a,b}`"), ["crates/jsom"]);
    assert!(
        is_held("a_test_of_ours", "fn a_test_of_ours() {", "")
            && !is_held("a_test_of_theirs", "fn a_test_of_ours() {", "")
    );
    assert!(is_held("a title", "", "test('a title'") && !is_held("a title", "", ""));
    assert!(is_held("deny.toml", "", "") && !is_held("denial.toml", "", "") && !is_held("sas", "", "saskia"));
}
