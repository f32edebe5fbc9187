//! The README's program is one of the examples, which are compiled and run.

use windrow_house::tree;

#[test]
fn the_program_of_the_readme_is_an_example() {
    let text = |name: &str| {
        let files = tree::files(&[".rs", ".md"]);
        files.into_iter().find(|file| file.path == name).unwrap_or_else(|| panic!("{name} is not there")).text
    };
    let (readme, example) = (text("README.md"), text("examples/readme.rs"));
    let program = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (_, code) = example.split_once("\n\n").unwrap();
    assert_eq!(program, code, "the README's program and examples/readme.rs differ");
}
