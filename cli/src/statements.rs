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
    let mut lines = Lines { script, at: 0, line: 1 };
    while let Some((token, range)) = scanner.next_token() {
        match token {
            Token::Blank => {}
            Token::Word => first_word = first_word.or(Some(range.start)),
            Token::Semicolon => {
                whole.extend(first_word.map(|word| lines.statement(rest, word, range.start)));
                (rest, first_word) = (range.end, None);
            }
        }
    }
    let begun = first_word.map(|word| lines.statement(rest, word, script.len()));
    let in_statement = if begun.is_some() { Ending::Statement } else { Ending::Whole };
    Parts { whole, rest, begun, ending: scanner.open.map_or(in_statement, |open| open.ending()) }
}

/// Counts the lines of a script, each once.
struct Lines<'a> {
    script: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The statement in this place; it stands behind those that were asked for before.
    fn statement(&mut self, start: usize, first_word: usize, end: usize) -> Statement {
        self.line += self.script[self.at..first_word].matches('\n').count();
        self.at = first_word;
        Statement { text: self.script[start..end].trim().to_owned(), line: self.line }
    }
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

/// What is begun at the end of a text, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// A quoted text. A doubled quote stands for itself, and so needs no care: it is two texts in a row.
    Quote(char),
    /// `E'…'`, in which a backslash takes what is special from the character behind it.
    Escaped,
    /// `$tag$ … $tag$`.
    Dollar(String),
    /// A comment, in which others may stand: so many are begun.
    Comment(usize),
}

impl Open {
    /// What a text ends in, in which this is begun.
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Open::Quote(quote) => Ending::Quote(*quote),
            Open::Escaped => Ending::Quote('\''),
            Open::Dollar(_) => Ending::Dollar,
            Open::Comment(_) => Ending::Comment,
        }
    }

    fn token(&self) -> Token {
        match self {
            Open::Comment(_) => Token::Blank,
            Open::Quote(_) | Open::Escaped | Open::Dollar(_) => Token::Word,
        }
    }

    /// Where it ends in this text, which begins inside of it; none if it goes on behind that.
    fn end(&mut self, text: &str) -> Option<usize> {
        match self {
            Open::Quote(quote) => text.find(*quote).map(|at| at + 1),
            Open::Escaped => end_of_escaped(text),
            Open::Dollar(tag) => text.find(tag.as_str()).map(|at| at + tag.len()),
            Open::Comment(depth) => end_of_comment(text, depth),
        }
    }
}

/// Goes through a script, token by token.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// What is begun and has not ended.
    open: Option<Open>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner::resume(text, 0, None)
    }

    /// Goes on at this place, where this is begun. A text that comes in pieces is gone through once when each piece ends
    /// with its line.
    pub(crate) fn resume(text: &'a str, at: usize, open: Option<Open>) -> Scanner<'a> {
        Scanner { text, at, open }
    }

    /// What is begun at the end.
    pub(crate) fn into_open(self) -> Option<Open> {
        self.open
    }

    /// The next token and where it stands.
    pub(crate) fn next_token(&mut self) -> Option<(Token, Range<usize>)> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        if let Some(open) = self.open.take() {
            return Some(self.until_end(open, self.at));
        }
        let start = self.at;
        let (length, token) = match first {
            ';' => (1, Token::Semicolon),
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), Token::Blank),
            '/' if rest.starts_with("/*") => return Some(self.begin(Open::Comment(1), 2)),
            '\'' if self.after_lone_e() => return Some(self.begin(Open::Escaped, 1)),
            '\'' | '"' | '`' => return Some(self.begin(Open::Quote(first), 1)),
            '$' if !self.after_word() => match dollar_tag(rest) {
                Some(tag) => return Some(self.begin(Open::Dollar(tag.to_owned()), tag.len())),
                None => (1, Token::Word),
            },
            c if c.is_whitespace() => (c.len_utf8(), Token::Blank),
            c => (c.len_utf8(), Token::Word),
        };
        self.at += length;
        Some((token, start..self.at))
    }

    /// The token that begins with so many bytes.
    fn begin(&mut self, open: Open, length: usize) -> (Token, Range<usize>) {
        let start = self.at;
        self.at += length;
        self.until_end(open, start)
    }

    fn until_end(&mut self, mut open: Open, start: usize) -> (Token, Range<usize>) {
        let token = open.token();
        match open.end(&self.text[self.at..]) {
            Some(length) => self.at += length,
            None => (self.at, self.open) = (self.text.len(), Some(open)),
        }
        (token, start..self.at)
    }

    fn after_word(&self) -> bool {
        ends_in_word(&self.text[..self.at])
    }

    /// Behind an `E` that is not the end of a longer word.
    fn after_lone_e(&self) -> bool {
        self.text[..self.at].strip_suffix(['e', 'E']).is_some_and(|before| !ends_in_word(before))
    }
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// Where an `E'…'` ends; here a doubled quote must be seen, for what follows it is escaped as well.
fn end_of_escaped(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find(['\'', '\\']) {
        at += found;
        let rest = &text[at..];
        if rest.starts_with('\'') && !rest.starts_with("''") {
            return Some(at + 1);
        }
        let second = rest[1..].chars().next()?;
        at += 1 + second.len_utf8();
    }
    None
}

/// Where the outermost of `depth` comments ends.
fn end_of_comment(text: &str, depth: &mut usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            (*depth, at) = (*depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (*depth, at) = (*depth - 1, at + 2);
            if *depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// The `$tag$` with which a text begins; none when it is only a dollar sign, as in `$1`.
fn dollar_tag(text: &str) -> Option<&str> {
    let behind = &text[1..];
    let name = &behind[..behind.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(behind.len())];
    let is_tag = behind[name.len()..].starts_with('$') && !name.starts_with(|c: char| c.is_numeric());
    is_tag.then(|| &text[..name.len() + 2])
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
    fn a_backslash_escapes_behind_a_lone_e_only() {
        for one in ["SELECT E'it\\'s; fine'", "SELECT e'a''b\\'; c'", "SELECT E'\\\\', 1", "SELECT (E'\\';')"] {
            assert_eq!(texts(&format!("{one}; SELECT 2")), [one, "SELECT 2"]);
        }
        assert_eq!(texts("SELECT 'a\\'; SELECT 2"), ["SELECT 'a\\'", "SELECT 2"]);
        assert_eq!(texts("SELECT DATE'\\'; SELECT 2"), ["SELECT DATE'\\'", "SELECT 2"]);
        assert_eq!(parts("SELECT E'a\\").ending, Ending::Quote('\''));
        assert_eq!(parts("SELECT E'a\\'").ending, Ending::Quote('\''));
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
