//! Rust text with the insides of comments, strings and character literals blanked out, line by line as before, so that
//! braces and words can be counted.

/// The same text, of the same lines, with comments and literals replaced by spaces.
pub fn masked(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(&bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = |n: usize| text.get(at + n).copied().unwrap_or('\0');
    let after_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match text[at] {
        '/' if next(1) == '/' => until(text, at, |c| c == '\n'),
        '/' if next(1) == '*' => block_comment_end(text, at),
        '"' => string_end(text, at + 1),
        '\'' => character_end(text, at),
        'b' | 'c' if !after_word && next(1) == '"' => string_end(text, at + 2),
        'b' if !after_word && next(1) == '\'' => character_end(text, at + 1),
        'r' if !after_word => raw_string_end(text, at, at + 1),
        'b' | 'c' if !after_word && next(1) == 'r' => raw_string_end(text, at, at + 2),
        _ => at,
    }
}

fn until(text: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|i| stop(text[*i])).unwrap_or(text.len())
}

fn block_comment_end(text: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_end(text: &[char], from: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A character literal, or `from` when the quote opens a lifetime.
fn character_end(text: &[char], from: usize) -> usize {
    let get = |at: usize| text.get(at).copied().unwrap_or('\0');
    if get(from + 1) == '\\' {
        return (until(text, from + 3, |c| c == '\'') + 1).min(text.len());
    }
    if get(from + 2) == '\'' { from + 3 } else { from }
}

/// `r"…"`, `r#"…"#` and so on, whose hashes begin at `hashes`; or `from` when it is none, as in `r#type`.
fn raw_string_end(text: &[char], from: usize, hashes: usize) -> usize {
    let open = until(text, hashes, |c| c != '#');
    if text.get(open) != Some(&'"') {
        return from;
    }
    let count = open - hashes;
    let closes =
        |at: &usize| text[*at] == '"' && text[at + 1..].iter().take(count).filter(|c| **c == '#').count() == count;
    (open + 1..text.len()).find(closes).map_or(text.len(), |at| at + 1 + count)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn what_is_not_code_is_blank_and_the_rest_stands() {
        for (text, expected) in [
            ("a // {\nb", "a b"),
            ("a /* { /* } */ */ b", "a b"),
            (r#"f("{\"}") + '{'"#, "f( ) +"),
            (r##"r#"{"}"# fn"##, "fn"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            (r"'\'' {", "{"),
            ("b\"{\" br\"{\" b'{' r#type", "r#type"),
        ] {
            let masked = masked(text);
            assert_eq!(masked.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
            assert_eq!(masked.chars().count(), text.chars().count(), "{text}");
            assert_eq!(masked.matches('\n').count(), text.matches('\n').count(), "{text}");
        }
    }
}
