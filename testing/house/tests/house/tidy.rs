//! The outer limits of files and functions, and what must not stand in a source.

use windrow_house::functions::functions;
use windrow_house::masked::masked;
use windrow_house::tree::{self, SourceFile};

/// Lines of a file.
const MAX_FILE_LINES: usize = 700;
/// Lines of a function, from `fn` to the closing brace.
const MAX_FUNCTION_LINES: usize = 70;
/// Characters of a line, in prose and code alike; formatted code keeps to 120.
const MAX_LINE_CHARS: usize = 200;

/// Functions that are longer, `(file, function)`, each with its reason in a comment.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

/// Words that mean unfinished work, matched in code.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Calls with which a test would wait for luck.
const SLEEPS: [&str; 3] = ["thread::sleep", "time::sleep", "sleep_until"];

fn rust_files() -> Vec<SourceFile> {
    let files = tree::files(&[".rs"]);
    assert!(files.len() > 20, "the sources were not found");
    files
}

fn fail_if_any(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// From where on a file is a test: its start, or its first `#[cfg(test)]`.
fn test_code_start(file: &SourceFile, masked: &str) -> usize {
    let is_test = file.path.starts_with("testing/") || file.path.contains("/tests/");
    if is_test { 0 } else { masked.find("#[cfg(test)]").unwrap_or(masked.len()) }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn files_say_what_they_own_and_stay_short() {
    let mut complaints = Vec::new();
    for file in rust_files() {
        if !file.text.starts_with("//!") {
            complaints.push(format!("{}: must open with //! and say what it owns and what it does not", file.path));
        }
        let lines = file.text.lines().count();
        if lines > MAX_FILE_LINES {
            complaints.push(format!("{}: {lines} lines, at most {MAX_FILE_LINES}; split it by noun", file.path));
        }
    }
    fail_if_any(complaints);
}

#[test]
fn functions_stay_short() {
    let mut complaints = Vec::new();
    for file in rust_files() {
        for function in functions(&masked(&file.text)) {
            let known = LONG_FUNCTIONS.contains(&(file.path.as_str(), function.name.as_str()));
            if function.lines > MAX_FUNCTION_LINES && !known {
                complaints.push(format!(
                    "{}:{}: {} has {} lines, at most {MAX_FUNCTION_LINES}",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    fail_if_any(complaints);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut complaints = Vec::new();
    for file in rust_files() {
        let code = masked(&file.text);
        for word in UNFINISHED {
            complaints.extend(
                code.match_indices(word).map(|(at, _)| format!("{}:{}: {word}", file.path, line_of(&code, at))),
            );
        }
    }
    fail_if_any(complaints);
}

#[test]
fn tests_wait_for_events_and_never_for_a_while() {
    let mut complaints = Vec::new();
    for file in rust_files() {
        let code = masked(&file.text);
        let start = test_code_start(&file, &code);
        for word in SLEEPS {
            complaints.extend(
                code[start..]
                    .match_indices(word)
                    .map(|(at, _)| format!("{}:{}: a test that sleeps", file.path, line_of(&code, start + at))),
            );
        }
    }
    fail_if_any(complaints);
}

/// Where generated types may appear in the engine: the codec, and the client of the exchange service.
const GENERATED_HOMES: [&str; 2] = ["engine/src/codec/", "engine/src/exchange/client/"];

#[test]
fn generated_types_stay_in_proto_and_the_codec() {
    let mut complaints = Vec::new();
    for file in rust_files().iter().filter(|file| file.path.starts_with("engine/src/")) {
        if GENERATED_HOMES.iter().any(|home| file.path.starts_with(home)) {
            continue;
        }
        for word in ["windrow_proto", "prost::", "datafusion_proto"] {
            if masked(&file.text).contains(word) {
                complaints.push(format!("{}: {word} belongs in {GENERATED_HOMES:?}", file.path));
            }
        }
    }
    fail_if_any(complaints);
}

#[test]
fn texts_are_fit_to_be_read_by_anybody() {
    let files = tree::files(&[".rs", ".toml", ".md", ".proto", ".sql", ".yml", ".yaml", ".sh", "run", "justfile"]);
    let mut complaints = Vec::new();
    for file in &files {
        for (number, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
                complaints.push(format!("{place}: a conflict that was not resolved"));
            }
            if line.contains(concat!("/home", "/")) || line.contains(concat!("/ro", "ot/")) {
                complaints.push(format!("{place}: a path of somebody's machine"));
            }
            if file.path.ends_with(".rs") && line.chars().count() > MAX_LINE_CHARS {
                complaints.push(format!("{place}: longer than {MAX_LINE_CHARS} characters"));
            }
        }
    }
    fail_if_any(complaints);
}
