//! `windrow clean`: what it says, what it removes, and what it never touches.

use std::fs;

use tempfile::TempDir;

use crate::windrow::{assert_code, stderr, stdout, windrow};

#[test]
fn it_removes_what_a_dead_writer_left_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let table = directory.path().join("t");
    let location = table.to_str().unwrap();
    let rows = format!("COPY (SELECT 1 AS a) TO '{location}/' STORED AS PARQUET");
    assert_code(&windrow(&["sql", "-c", &rows]), 0);
    let orphan = table.join(format!("_windrow/staging/{:032x}-0-0/{:032x}/part-00000-000.parquet", 5, 7));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "12345").unwrap();

    let kept = windrow(&["clean", location]);
    assert_code(&kept, 0);
    assert!(stdout(&kept).contains("1 file stays"), "{}", stdout(&kept));
    let told = windrow(&["clean", location, "--older-than", "0s", "--dry-run"]);
    assert_eq!(stdout(&told), "1 undecided write would be decided against\n1 file (5 bytes) would be removed\n");
    assert!(orphan.exists());
    let done = windrow(&["clean", location, "--older-than", "0s"]);
    assert_code(&done, 0);
    assert_eq!(stdout(&done), "1 undecided write decided against\n1 file (5 bytes) removed\n");
    assert!(!table.join("_windrow/staging").exists());
    assert_eq!(stdout(&windrow(&["clean", location])), "there is nothing to clean up\n");

    let read = windrow(&["sql", "-c", &format!("SELECT count(*) FROM '{location}/'"), "--format", "csv"]);
    assert!(stdout(&read).lines().any(|line| line == "1"), "{}{}", stdout(&read), stderr(&read));
}

#[test]
fn a_place_that_is_not_there_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("nothing");
    let output = windrow(&["clean", missing.to_str().unwrap()]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("there is no directory"), "{}", stderr(&output));
    let output = windrow(&["clean", "http://localhost/t"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("nothing can be written to a web server"), "{}", stderr(&output));
}
