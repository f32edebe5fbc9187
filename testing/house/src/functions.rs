//! Where the functions of a file begin and end, by counting braces.

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from its `fn` to its closing brace.
    pub lines: usize,
}

/// The functions with bodies in a masked text (see [`crate::masked`]), nested ones too.
pub fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in masked.match_indices("fn ") {
        let before = masked[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &masked[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(rest) {
            let line = masked[..at].matches('\n').count() + 1;
            let lines = rest[..end].matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// Where the body ends that follows a signature; none when the signature ends in a semicolon.
fn body_end(signature: &str) -> Option<usize> {
    let (mut depth, mut brackets) = (0_i32, 0_i32);
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 && brackets == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_measured_and_declarations_are_not() {
        let text = "trait T {\n    fn declared(x: [u8; 4]);\n}\nfn long(\n    x: u8,\n) -> u8 {\n    match x { _ => { 1 } }\n}\n";
        let function = Function { name: "long".to_owned(), line: 4, lines: 5 };
        assert_eq!(functions(text), [function]);
    }

    #[test]
    fn function_pointers_are_no_functions() {
        assert_eq!(functions("type F = fn (u8) -> u8;\nstruct S { f: fn(u8) }"), []);
    }
}
