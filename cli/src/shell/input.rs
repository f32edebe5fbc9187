//! What a person has typed and not yet run: lines come in, whole statements and backslash commands go out.

use crate::statements::{Ending, Open, Scanner, Token};

/// Lines that do not make a whole statement yet.
#[derive(Debug, Default)]
pub struct Input {
    text: String,
    /// Bytes of it that were gone through.
    scanned: usize,
    /// What is begun behind those.
    open: Option<Open>,
    /// Whether there is more in it than blanks and comments.
    has_word: bool,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A line that begins with a backslash.
    Command(String),
    /// A statement, without its semicolon.
    Statement(String),
}

impl Input {
    /// Takes what was typed, one line or several, and gives what there is to do now.
    pub fn enter(&mut self, typed: &str) -> Vec<Entered> {
        let mut entered = Vec::new();
        for line in typed.split('\n') {
            if self.is_empty() && line.trim_start().starts_with('\\') {
                entered.push(Entered::Command(line.trim().to_owned()));
                continue;
            }
            self.text.push_str(line);
            self.text.push('\n');
            self.scan(&mut entered);
        }
        entered
    }

    /// Goes through the line that has come; what came before was gone through then.
    fn scan(&mut self, entered: &mut Vec<Entered>) {
        let mut scanner = Scanner::resume(&self.text, self.scanned, self.open.take());
        let mut rest = 0;
        while let Some((token, range)) = scanner.next_token() {
            match token {
                Token::Blank => {}
                Token::Word => self.has_word = true,
                Token::Semicolon => {
                    if std::mem::take(&mut self.has_word) {
                        entered.push(Entered::Statement(self.text[rest..range.start].trim().to_owned()));
                    }
                    rest = range.end;
                }
            }
        }
        self.open = scanner.into_open();
        self.text.drain(..rest);
        self.scanned = self.text.len();
        if !self.has_word && self.open.is_none() {
            self.clear();
        }
    }

    /// Whether nothing is begun.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is begun, lines and all.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Forgets what is begun.
    pub fn clear(&mut self) {
        *self = Input::default();
    }

    /// What is begun, as a statement that nothing follows.
    pub fn take(&mut self) -> Option<String> {
        let Input { text, has_word, .. } = std::mem::take(self);
        has_word.then(|| text.trim().to_owned())
    }

    /// The prompt for the next line; its sign says what is open.
    pub fn prompt(&self) -> String {
        let sign = match self.open.as_ref().map_or(Ending::Statement, Open::ending) {
            _ if self.is_empty() => '=',
            Ending::Whole | Ending::Statement => '-',
            Ending::Quote(quote) => quote,
            Ending::Dollar => '$',
            Ending::Comment => '*',
        };
        format!("windrow{sign}> ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> Entered {
        Entered::Statement(text.to_owned())
    }

    fn command(text: &str) -> Entered {
        Entered::Command(text.to_owned())
    }

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        let mut input = Input::default();
        for (line, prompt) in [
            ("SELECT 1,", "windrow-> "),
            ("  'a;", "windrow'> "),
            ("b', $$;", "windrow$> "),
            ("$$, /* ;", "windrow*> "),
            ("*/ \"c;", "windrow\"> "),
            ("\" -- ;", "windrow-> "),
        ] {
            assert_eq!(input.enter(line), []);
            assert_eq!(input.prompt(), prompt, "{line}");
        }
        let whole = "SELECT 1,\n  'a;\nb', $$;\n$$, /* ;\n*/ \"c;\n\" -- ;";
        assert_eq!(input.enter(";"), [statement(whole)]);
        assert!(input.is_empty());
        assert_eq!(input.prompt(), "windrow=> ");
    }

    #[test]
    fn several_statements_on_a_line_and_the_begin_of_another() {
        let mut input = Input::default();
        assert_eq!(input.enter("SELECT 1; SELECT 2; SELECT"), [statement("SELECT 1"), statement("SELECT 2")]);
        assert_eq!(input.text(), " SELECT\n");
        assert_eq!(input.enter("3;"), [statement("SELECT\n3")]);
    }

    #[test]
    fn commands_stand_at_the_begin_of_a_statement_only() {
        let mut input = Input::default();
        assert_eq!(input.enter(" \\dt "), [command("\\dt")]);
        assert_eq!(input.enter("SELECT '\n\\dt\n';\n\\q"), [statement("SELECT '\n\\dt\n'"), command("\\q")]);
        assert_eq!(input.enter("-- only said\n\\x"), [command("\\x")]);
    }

    #[test]
    fn a_statement_of_very_many_lines_is_gone_through_once() {
        let mut input = Input::default();
        // A scan of everything for each of these lines would take minutes.
        let line = "('some text', 1, $1, $tag$ more text $tag$), -- and a comment";
        let lines = 60_000;
        assert_eq!(input.enter("INSERT INTO t VALUES"), []);
        assert!((0..lines).all(|_| input.enter(line).is_empty()));
        assert!((0..lines).all(|_| input.enter(if input.open.is_some() { line } else { "/* a comment" }).is_empty()));
        let entered = input.enter("*/ (1);");
        let [Entered::Statement(whole)] = entered.as_slice() else { panic!("{} entered", entered.len()) };
        assert_eq!(whole.lines().count(), 2 + 2 * lines);
        assert!(input.is_empty());
    }

    #[test]
    fn what_is_begun_can_be_dropped_or_taken() {
        let mut input = Input::default();
        input.enter("SELECT 'a");
        input.clear();
        assert_eq!((input.enter(";"), input.take()), (vec![], None));
        input.enter("SELECT 2");
        assert_eq!(input.take().as_deref(), Some("SELECT 2"));
    }
}
