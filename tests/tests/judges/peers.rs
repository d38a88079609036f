//! The foreign programs and data that a test may need.

use std::path::PathBuf;

/// The python of `make peers`; without it the test is skipped, or fails where peers are required.
pub(crate) fn python(what: &str) -> Option<String> {
    let found = std::env::var("TRIBUTARY_PYTHON").ok().filter(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        let required = std::env::var("TRIBUTARY_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "TRIBUTARY_PYTHON names no python, which {what} needs: make peers");
        eprintln!("SKIPPED {what}: TRIBUTARY_PYTHON names no python (make peers)");
    }
    found
}

/// The compiled schemas, one JSON file a version, in the package `ocsf-json-schema`.
pub(crate) fn published_schemas(python: &str) -> PathBuf {
    let script = "import ocsf_json_schema, os; print(os.path.join(os.path.dirname(ocsf_json_schema.__file__), 'ocsf'))";
    let output = std::process::Command::new(python).args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The folder of the independent judge.
pub(crate) fn judge(what: &str) -> Option<PathBuf> {
    folder("TRIBUTARY_JUDGE", what)
}

/// The folder of real samples.
pub(crate) fn corpus(what: &str) -> Option<PathBuf> {
    folder("TRIBUTARY_CORPUS", what)
}

fn folder(variable: &str, what: &str) -> Option<PathBuf> {
    let Ok(folder) = std::env::var(variable) else {
        eprintln!("SKIPPED {what}: {variable} names no folder");
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(folder.is_dir(), "{variable} names {}, which is no folder", folder.display());
    Some(folder)
}

/// A file of this process in the folder for temporary files, gone when dropped.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, text: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tributary-judges-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
