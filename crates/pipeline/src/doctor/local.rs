//! Files and folders of this machine.

use std::path::Path;

use tributary_telemetry::Check;

/// Whether a file may be written, if it is there; one that is not is made by the first run.
pub fn examine_file(name: &str, path: &Path) -> Check {
    let shown = path.display();
    match std::fs::OpenOptions::new().append(true).open(path) {
        Ok(_) => Check::ok(name, format!("{shown} may be written")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok(name, format!("{shown} is not there yet: the first run makes it"))
        }
        Err(error) => Check::failed(
            name,
            format!("{shown}: {error}"),
            format!("let this user write it: chown \"$USER\" '{shown}', or name another file"),
        ),
    }
}

/// Whether a folder may be written, by a file that is made and removed; one that is not there is made by the first run.
pub fn examine_folder(name: &str, path: &Path) -> Check {
    let (shown, probe) = (path.display(), path.join(".tributary-doctor"));
    if !path.exists() {
        return Check::ok(name, format!("{shown} is not there yet: the first run makes it"));
    }
    let written = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    match written {
        Ok(()) => Check::ok(name, format!("{shown} may be written: .tributary-doctor was made and removed")),
        Err(error) => Check::failed(
            name,
            format!("{shown}: {error}"),
            format!("let this user write it: chown \"$USER\" '{shown}', or name another folder"),
        ),
    }
}
