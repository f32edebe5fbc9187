//! Divides a script into its statements at the semicolons that are not part of a string, a name or a comment.
//!
//! It does not parse: whatever it cannot make sense of (a quote that never ends) goes to the parser as it is, which
//! knows how to complain.

use std::ops::Range;

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the semicolon.
    pub text: String,
    /// The line of the script on which its first word stands, from 1.
    pub line: usize,
}

/// A script, divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The statements that a semicolon ends, without empty ones and those of nothing but comments.
    pub whole: Vec<Statement>,
    /// Where what follows the last semicolon begins, in bytes.
    pub rest: usize,
    /// The statement behind the last semicolon, if there is a word of one.
    pub begun: Option<Statement>,
    /// What the script ends in.
    pub ending: Ending,
}

/// What a script ends in; more must follow unless it is `Whole`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Between two statements.
    Whole,
    /// In a statement.
    Statement,
    /// In a string or a quoted name that begins with this character.
    Quote(char),
    /// In a `$tag$` string.
    Dollar,
    /// In a `/*` comment.
    Comment,
}

/// The statements of a script, without empty ones and those of nothing but comments.
pub fn split(script: &str) -> Vec<Statement> {
    let Parts { mut whole, begun, .. } = parts(script);
    whole.extend(begun);
    whole
}

/// Divides a script, and says what is left over.
pub fn parts(script: &str) -> Parts {
    let mut whole = Vec::new();
    let mut scanner = Scanner::new(script);
    let (mut rest, mut first_word) = (0, None);
    while let Some((token, range)) = scanner.next_token() {
        match token {
            Token::Blank => {}
            Token::Word => first_word = first_word.or(Some(range.start)),
            Token::Semicolon => {
                whole.extend(first_word.map(|word| statement(script, rest, word, range.start)));
                (rest, first_word) = (range.end, None);
            }
        }
    }
    let begun = first_word.map(|word| statement(script, rest, word, script.len()));
    let in_statement = if begun.is_some() { Ending::Statement } else { Ending::Whole };
    Parts { whole, rest, begun, ending: scanner.open.unwrap_or(in_statement) }
}

fn statement(script: &str, start: usize, first_word: usize, end: usize) -> Statement {
    let line = script[..first_word].matches('\n').count() + 1;
    Statement { text: script[start..end].trim().to_owned(), line }
}

/// A piece of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// White space or a comment.
    Blank,
    /// Part of a statement: a quoted text, or one character.
    Word,
    /// The end of a statement.
    Semicolon,
}

/// Goes through a script, token by token.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// In what the script ends, if that never ended.
    open: Option<Ending>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0, open: None }
    }

    /// The next token and where it stands.
    pub(crate) fn next_token(&mut self) -> Option<(Token, Range<usize>)> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let (length, token, ending) = match first {
            ';' => (Some(1), Token::Semicolon, Ending::Whole),
            '-' if rest.starts_with("--") => (Some(rest.find('\n').unwrap_or(rest.len())), Token::Blank, Ending::Whole),
            '/' if rest.starts_with("/*") => (block_comment(rest), Token::Blank, Ending::Comment),
            '\'' | '"' | '`' => (quoted(rest, first), Token::Word, Ending::Quote(first)),
            '$' if !self.after_word() => (dollar_quoted(rest), Token::Word, Ending::Dollar),
            c if c.is_whitespace() => (Some(c.len_utf8()), Token::Blank, Ending::Whole),
            c => (Some(c.len_utf8()), Token::Word, Ending::Whole),
        };
        if length.is_none() {
            self.open = Some(ending);
        }
        let start = self.at;
        self.at += length.unwrap_or(rest.len());
        Some((token, start..self.at))
    }

    fn after_word(&self) -> bool {
        let before = self.text[..self.at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
    }
}

/// The length of a quoted text, unless it never ends; a doubled quote stands for itself, and so needs no care: it is two
/// texts in a row.
fn quoted(text: &str, quote: char) -> Option<usize> {
    text[1..].find(quote).map(|end| end + 2)
}

/// The length of a comment, in which others may stand, unless it never ends.
fn block_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// The length of `$tag$ … $tag$`, unless it never ends; 1 when it is only a dollar sign, as in `$1`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let Some(end) = text[1..].find('$') else { return Some(1) };
    let tag = &text[..end + 2];
    let name = &tag[1..tag.len() - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
    if !is_name {
        return Some(1);
    }
    text[tag.len()..].find(tag).map(|close| close + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script).into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn semicolons_divide_and_empty_statements_vanish() {
        assert_eq!(texts("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts("SELECT 1"), ["SELECT 1"]);
        assert!(texts("").is_empty() && texts(" ;; \n;").is_empty() && texts("-- nothing\n/* at all */ ;").is_empty());
    }

    #[test]
    fn semicolons_inside_of_something_do_not_divide() {
        for one in [
            "SELECT 'a;b', ';', 'it''s; so'",
            "SELECT \"a;\"\"b\" FROM `c;d`",
            "SELECT $$a;b$$, $t$ ; $$ ; $t$",
            "SELECT 1 -- ; not yet\n + 1",
            "SELECT /* ; /* ; */ ; */ 1",
            "SELECT 'never ends; really",
            "SELECT $1 + $2",
        ] {
            assert_eq!(texts(one), [one]);
        }
        assert_eq!(texts("SELECT $1; SELECT $2"), ["SELECT $1", "SELECT $2"]);
        assert_eq!(texts("SELECT a$b; SELECT c$d"), ["SELECT a$b", "SELECT c$d"]);
        assert_eq!(texts("SELECT 'ä;ö'; SELECT 'ü'"), ["SELECT 'ä;ö'", "SELECT 'ü'"]);
    }

    #[test]
    fn a_statement_knows_the_line_of_its_first_word() {
        let statements = split("-- title\n\nSELECT 1;\n\n  -- then\n  SELECT\n 2");
        assert_eq!(statements.iter().map(|s| s.line).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(statements[1].text, "-- then\n  SELECT\n 2");
    }

    #[test]
    fn what_a_script_ends_in() {
        for (script, ending) in [
            ("", Ending::Whole),
            ("SELECT 1;", Ending::Whole),
            ("SELECT 1; -- said", Ending::Whole),
            ("SELECT 1; /* said */ ", Ending::Whole),
            ("SELECT 1", Ending::Statement),
            ("SELECT 1; SELECT 'x'", Ending::Statement),
            ("SELECT ';", Ending::Quote('\'')),
            ("SELECT 'it''s;", Ending::Quote('\'')),
            ("SELECT \"a;", Ending::Quote('"')),
            ("SELECT `a;", Ending::Quote('`')),
            ("SELECT $$;", Ending::Dollar),
            ("SELECT $t$ $$;", Ending::Dollar),
            ("SELECT $1", Ending::Statement),
            ("/* /* */ ;", Ending::Comment),
            ("SELECT 1 /* ;", Ending::Comment),
        ] {
            assert_eq!(parts(script).ending, ending, "{script}");
        }
        let parts = parts("SELECT 1; SELECT");
        assert_eq!((parts.whole.len(), parts.rest, parts.begun.unwrap().text.as_str()), (1, 9, "SELECT"));
    }
}
