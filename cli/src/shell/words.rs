//! The words and signs of a statement that is being typed, as far as completion needs them: no strings, no comments.

use crate::statements::{Scanner, Token};

/// A word or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// A name, a keyword or a number, as it is typed.
    Plain(&'a str),
    /// A quoted name, without its quotes.
    Quoted(String),
    /// A string.
    Text,
    /// Any other character.
    Sign(char),
}

impl Word<'_> {
    /// Whether it is this keyword, given in upper case.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Plain(text) if text.eq_ignore_ascii_case(keyword))
    }

    /// The name that it stands for: quoted as it is, otherwise in lower case.
    pub fn name(&self) -> Option<String> {
        match self {
            Word::Plain(text) if !text.starts_with(|c: char| c.is_ascii_digit()) => Some(text.to_lowercase()),
            Word::Quoted(text) => Some(text.clone()),
            Word::Plain(_) | Word::Text | Word::Sign(_) => None,
        }
    }
}

/// Whether a name may hold this character without quotes.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words up to the first semicolon.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let mut scanner = Scanner::new(text);
    let mut words = Vec::new();
    let mut plain = None;
    while let Some((token, range)) = scanner.next_token() {
        let piece = &text[range.clone()];
        let is_plain = token == Token::Word && piece.chars().all(is_word);
        if is_plain {
            plain = plain.or(Some(range.start));
            continue;
        }
        words.extend(plain.take().map(|start| Word::Plain(&text[start..range.start])));
        match token {
            Token::Semicolon => return words,
            Token::Blank => {}
            Token::Word => words.push(other(piece)),
        }
    }
    words.extend(plain.map(|start| Word::Plain(&text[start..])));
    words
}

fn other(piece: &str) -> Word<'_> {
    match piece.chars().next() {
        Some(quote @ ('"' | '`')) => {
            let inner = piece.strip_prefix(quote).unwrap_or(piece);
            Word::Quoted(inner.strip_suffix(quote).unwrap_or(inner).to_owned())
        }
        Some('\'') => Word::Text,
        Some('$') if piece.len() > 1 => Word::Text,
        Some(sign) => Word::Sign(sign),
        None => Word::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_signs_and_quoted_names() {
        use Word::{Plain, Quoted, Sign, Text};
        let text = "SELECT a.\"B c\", 'x y' -- no\nFROM t; SELECT 2";
        let expected = [
            Plain("SELECT"),
            Plain("a"),
            Sign('.'),
            Quoted("B c".to_owned()),
            Sign(','),
            Text,
            Plain("FROM"),
            Plain("t"),
        ];
        assert_eq!(words(text), expected);
        assert_eq!(words("a$$;$$b"), [Plain("a"), Sign('$'), Sign('$')]);
        assert_eq!(words("\"never ends"), [Quoted("never ends".to_owned())]);
    }
}
