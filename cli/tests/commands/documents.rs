//! Commands that the pages show. In a fence of `sh` every line is a command; in a fence without a language those behind `$ `; in the text
//! what stands in backticks and begins with `tributary` or `make`. Each of them is parsed or looked up here. A fence whose first line is
//! `# needs a cloud account` may hold others beside them.

use std::path::{Path, PathBuf};

use super::{ROOT, tributary};

const MARK: &str = "# needs a cloud account";
/// Folders whose pages are read.
const FOLDERS: [&str; 3] = ["", "docs", "modules/azure"];
/// The first is run as a whole by `infra/test/walkthrough.test.ts`, the second tells of what was.
const LEFT_OUT: [&str; 2] = ["MODULE-DEVELOPMENT.md", "CHANGELOG.md"];
/// Programs that are nobody's here and change nothing that is.
const PLAIN: [&str; 5] = ["mkdir", "export", "date", "sed", "git"];

/// A command line of a page, in one line.
struct Line {
    text: String,
    /// Its fence needs a cloud account.
    cloud: bool,
    /// The number of its fence.
    fence: usize,
}

/// The command lines of a page.
fn lines(page: &str) -> Vec<Line> {
    let (mut found, mut language, mut cloud, mut fence) = (Vec::<Line>::new(), None::<String>, false, 0);
    let mut continued = false;
    for line in page.lines() {
        let line = line.trim();
        if let Some(info) = line.strip_prefix("```") {
            language = if language.is_some() { None } else { Some(info.to_owned()) };
            (cloud, continued, fence) = (false, false, fence + 1);
            continue;
        }
        let Some(language) = &language else { continue };
        if line == MARK {
            cloud = true;
        }
        let command = if language == "sh" && !line.starts_with('#') { Some(line) } else { line.strip_prefix("$ ") };
        let whole = if continued { Some(line) } else { command };
        let Some(text) = whole.filter(|text| !text.is_empty()) else { continue };
        let part = text.strip_suffix('\\').unwrap_or(text).trim();
        match found.last_mut() {
            Some(last) if continued => last.text = format!("{} {part}", last.text),
            _ => found.push(Line { text: part.to_owned(), cloud, fence }),
        }
        // A quote that is open goes on in the next line.
        let so_far = found.last().map_or("", |last| last.text.split(" #").next().unwrap_or_default());
        continued = text.ends_with('\\') || so_far.matches('\'').count() % 2 == 1;
    }
    found
}

/// The words of each program of a line, as a shell cuts them: quotes hold together, a comment ends it, redirections are left out.
fn programs(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::<String>::new(), None::<String>, None);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&') => {
                if letters.peek() == Some(&letter) {
                    letters.next();
                }
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    all.push(words);
    for words in &mut all {
        if let Some(at) = words.iter().position(|word| word == ">" || word == "<" || word == "2>") {
            words.drain(at..(at + 2).min(words.len()));
        }
        let set = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| name.chars().all(|of| of.is_ascii_uppercase() || of == '_'))
        };
        words.drain(..words.iter().take_while(|word| set(word)).count());
    }
    all.retain(|words| !words.is_empty());
    all
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The value behind an option.
fn behind<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1).copied())
}

/// What is wrong with a program's words; `at` is the folder that the fence is in, and moves with `cd`.
fn fault(words: &[String], cloud: bool, at: &mut PathBuf) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tributary", arguments @ ..] => {
            let folder = tempfile::tempdir().unwrap();
            let output = tributary().args(arguments).arg("--help").current_dir(folder.path()).output().unwrap();
            (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
        }
        ["make", arguments @ ..] => arguments.iter().filter(|word| !word.contains('=')).find_map(|target| {
            let rule = format!("\n{target}:");
            (!text("Makefile").contains(&rule)).then(|| format!("make has no target {target}"))
        }),
        ["npm", "run", script, ..] => {
            let known = text("infra/package.json").contains(&format!("\"{script}\": "));
            (!known || !at.ends_with("infra")).then(|| format!("no script {script} in {}", at.display()))
        }
        ["npm", "ci"] | ["npx", "cdk", "synth", ..] => {
            (!at.join("package.json").exists()).then(|| format!("{} has no package.json", at.display()))
        }
        ["cargo", ..] => {
            let manifests = text("Cargo.lock");
            let package = behind(&words, "-p").filter(|name| !manifests.contains(&format!("name = \"{name}\"")));
            let bench = behind(&words, "--bench").filter(|name| !text("Makefile").contains(&format!("--bench {name}")));
            package.or(bench).map(|name| format!("cargo knows no {name}"))
        }
        ["cd", folder] => {
            *at = at.join(folder);
            (!at.is_dir()).then(|| format!("no folder {}", at.display()))
        }
        ["cp", from, _] => (!at.join(from).exists()).then(|| format!("no file {}", at.join(from).display())),
        [program, ..] if program.contains('/') => {
            (!at.join(program).is_file()).then(|| format!("no script {}", at.join(program).display()))
        }
        [program, ..] if PLAIN.contains(program) || cloud => None,
        _ => Some(format!("neither known here nor marked by a first line '{MARK}'")),
    }
}

/// Commands in a page's text.
fn inline(page: &str) -> Vec<Line> {
    let (mut fenced, mut found) = (false, Vec::new());
    for line in page.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let spans = line.split('`').skip(1).step_by(2).filter(|_| !fenced);
        let whole = spans.filter(|span| span.starts_with("tributary ") || span.starts_with("make "));
        let whole = whole.filter(|span| !span.contains('…') && !span.contains('|'));
        found.extend(whole.map(|span| Line { text: span.to_owned(), cloud: false, fence: 0 }));
    }
    found
}

/// Every fault of a page's commands.
fn faults(page: &str) -> (usize, Vec<String>) {
    let (mut checked, mut found, mut fence, mut at) = (0, Vec::new(), 0, PathBuf::from(ROOT));
    for info in page.lines().filter_map(|line| line.trim().strip_prefix("```")) {
        if ["bash", "shell", "console", "sh "].iter().any(|other| info.starts_with(other)) {
            found.push(format!("a fence of {info}: commands stand in fences of sh"));
        }
    }
    for line in inline(page).into_iter().chain(lines(page)) {
        if line.fence != fence {
            (fence, at) = (line.fence, PathBuf::from(ROOT));
        }
        for words in programs(&line.text) {
            checked += 1;
            found.extend(fault(&words, line.cloud, &mut at).map(|why| format!("{}: {why}", line.text)));
        }
    }
    (checked, found)
}

#[test]
fn every_command_of_the_pages_is_known_or_marked() {
    let (mut checked, mut all) = (0, Vec::new());
    for folder in FOLDERS {
        let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let pages = entries.filter(|path| path.extension().is_some_and(|of| of == "md"));
        for page in pages.filter(|path| !LEFT_OUT.iter().any(|name| path.ends_with(name))) {
            let (count, found) = faults(&std::fs::read_to_string(&page).unwrap());
            all.extend(found.into_iter().map(|fault| format!("{}: {fault}", page.display())));
            checked += count;
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(checked > 150, "only {checked} commands were found");
}

/// README's first minute, line by line, in a folder that has nothing but the project's modules and a small demo.
#[test]
fn what_readme_shows_first_works() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Path::new(ROOT).join("modules").canonicalize().unwrap(), folder.path().join("modules"))
        .unwrap();
    let demo = tributary().args(["demo", "--events", "100", "--out", "out/demo"]).current_dir(folder.path()).output();
    assert!(demo.unwrap().status.success());
    let page = text("README.md");
    let section = page.split("\n## 60 seconds").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<Line> = lines(section).into_iter().filter(|line| line.fence == 3).collect();
    assert!(commands.len() > 5, "only {} commands were found", commands.len());
    for Line { text, .. } in commands {
        let program = tributary();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &text.replace("tributary ", "\"$TRIBUTARY\" ")]).current_dir(folder.path());
        for (name, value) in program.get_envs() {
            if value.is_none() {
                shell.env_remove(name);
            }
        }
        let output = shell.env("TRIBUTARY", program.get_program()).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty() || text.contains('>'), "{text}: nothing was shown");
    }
}

#[test]
fn a_planted_command_is_found() {
    let of = |commands: &str| faults(&format!("text\n```sh\n{commands}\n```\n")).1.len();
    for right in [
        "tributary redrive --quarantine --reason unknown-kind --dry-run",
        "cd infra\nnpm ci\nnpm run validate-config -- config.yaml",
        "make package ARCHITECTURES='x86_64 arm64'  # two zips",
        "tributary map - <alerts.json | tributary validate -",
        "cd modules/azure/terraform\n../scripts/configure-secrets-manager.sh --dry-run",
        "# needs a cloud account\naws sts get-caller-identity",
        "# needs a cloud account\naws events put-targets --targets '[\n {}]' # it's one line",
    ] {
        assert_eq!(of(right), 0, "{right}");
    }
    for wrong in [
        "tributary redrive --quarantin",
        "tributary \\\n  doctr",
        "tributary flowlogs sweep --since-hours often",
        "make packages",
        "npm run validate-config",
        "cd infra\nnpm run validate",
        "cd infrastructure",
        "../scripts/configure-secrets-manager.sh",
        "cp infra/config.yml.example infra/config.yaml",
        "aws sts get-caller-identity",
        "# needs a cloud account\ntributary doctor --no-such",
        "cargo bench -p tributary-functions --bench deployments",
    ] {
        assert_eq!(of(wrong), 1, "{wrong}");
    }
    assert_eq!(faults("by `tributary doctr`, `make tests`, or `tributary …`").1.len(), 2);
    assert_eq!(faults("```bash\nwhatever\n```\n").1.len(), 1);
    assert_eq!(faults("```\n$ tributary demo --event 3\noutput --event 3\n```\n").1.len(), 1);
}
