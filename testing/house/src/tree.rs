//! The files of the workspace.

use std::fs;
use std::path::PathBuf;

/// One text file of the workspace.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path from the root of the workspace, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The root of the workspace: of the one that runs, for clones may share what they build.
pub fn root() -> PathBuf {
    let house = std::env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    house.ancestors().nth(2).unwrap_or(&house).to_owned()
}

/// All text files with one of these endings, sorted by path; `target` and hidden directories other than `.ci` and
/// `.cargo` are left out.
pub fn files(endings: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".ci" || name == ".cargo") {
                    pending.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = fs::read_to_string(&path)
            {
                let relative = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.push(SourceFile { path: relative, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
