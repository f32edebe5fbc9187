//! Files of others: what pyarrow, DuckDB, polars and fastavro write is read with equal content, and what is written here
//! is read by them with equal content. The files, what is in them, and the comparing are in `testing/suite/interop`; here
//! the binary is run on them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::python::python;
use crate::windrow::{stderr, windrow};

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/suite/interop");
const IMPORTS: &str = "import backports.zstd, cramjam, duckdb, fastavro, numpy, polars, pyarrow";

/// Runs one of the suite's scripts on a directory.
fn script(python: &str, name: &str, directory: &Path) -> Output {
    // Scripts may leave no compiled modules in the sources.
    let mut command = Command::new("timeout");
    command.args(["900", python, "-B", &format!("{SUITE}/{name}")]).arg(directory);
    command.env("RUST_BACKTRACE", "0").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), stderr(output))
}

/// One entry of `cases.json`: files that somebody has written, and what to do with them.
struct Case {
    name: String,
    /// Statements before the query.
    setup: Vec<String>,
    query: String,
    /// Formats to write its rows in.
    copies: Vec<String>,
    place: PathBuf,
}

impl Case {
    fn of(value: &Value, directory: &Path) -> Case {
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let list = |name: &str| -> Vec<String> {
            value[name].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let path = format!("{}/{}", directory.display(), text("path"));
        let whole = |statement: String| statement.replace("{path}", &path);
        let name = text("name");
        Case {
            place: directory.join(&name),
            setup: list("setup").into_iter().map(whole).collect(),
            query: whole(text("query")),
            copies: list("copies"),
            name,
        }
    }

    /// Runs the setup and these statements; what they print as Arrow.
    fn run(&self, statements: &[String]) -> Result<Vec<u8>, String> {
        let mut arguments = vec!["sql", "--format", "arrow"];
        for statement in self.setup.iter().chain(statements) {
            arguments.extend(["-c", statement]);
        }
        let output = windrow(&arguments);
        if output.status.success() { Ok(output.stdout) } else { Err(stderr(&output)) }
    }

    /// Leaves what `check.py` compares: the answer, and the copies.
    fn read_and_write(&self) -> Result<(), String> {
        let answer = self.run(std::slice::from_ref(&self.query))?;
        fs::write(self.place.join("read.arrows"), answer).unwrap();
        let copy = |format: &String| {
            let target = self.place.join(format!("copy-{format}"));
            format!("COPY ({}) TO '{}/' STORED AS {}", self.query, target.display(), format.to_uppercase())
        };
        let copies: Vec<String> = self.copies.iter().map(copy).collect();
        if copies.is_empty() { Ok(()) } else { self.run(&copies).map(drop) }
    }
}

#[test]
fn others_read_what_we_write_and_we_read_what_they_write() {
    let Some(python) = python(IMPORTS, "testing/suite/interop/requirements.txt") else { return };
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let directory = temporary.path().join("files");
    let made = script(&python, "make.py", &directory);
    assert!(made.status.success(), "{}", said(&made));
    let list = fs::read_to_string(directory.join("cases.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let cases: Vec<Case> = list.iter().map(|value| Case::of(value, &directory)).collect();
    assert!(cases.len() > 100, "only {} cases were made", cases.len());
    let mut failed = String::new();
    for case in &cases {
        if let Err(error) = case.read_and_write() {
            // The others are tried all the same, so that one run shows everything.
            fs::write(case.place.join("failed.txt"), &error).unwrap();
            writeln!(failed, "{}: {}", case.name, error.trim_end()).unwrap();
        }
    }
    let checked = script(&python, "check.py", &directory);
    let result = String::from_utf8_lossy(&checked.stdout);
    assert!(failed.is_empty() && checked.status.success() && result.contains(" 0 wrong"), "{}", said(&checked));
    println!("{result}");
}
