//! Where the statements of earlier sessions are kept: `windrow/history` in the user's state directory.

use std::ffi::OsString;
use std::path::PathBuf;

/// Statements that are kept.
pub const KEPT: usize = 10_000;

/// The file, in `$XDG_STATE_HOME` or `~/.local/state`; none when neither is known.
pub fn path() -> Option<PathBuf> {
    path_for(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
}

fn path_for(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // The specification says that a relative path is to be ignored.
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute(state).or_else(|| Some(absolute(home)?.join(".local/state")))?;
    Some(state.join("windrow/history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_found() {
        let path = |state: &str, home: &str| path_for(Some(state.into()), Some(home.into()));
        assert_eq!(path("/s", "/h"), Some("/s/windrow/history".into()));
        assert_eq!(path("", "/h"), Some("/h/.local/state/windrow/history".into()));
        assert_eq!(path("relative", "/h"), Some("/h/.local/state/windrow/history".into()));
        assert_eq!(path("", ""), None);
        assert_eq!(path_for(None, None), None);
    }
}
