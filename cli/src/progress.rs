//! A line on the terminal that says how far long work is. It shows itself only on a terminal, and only after half a
//! second, so that quick work leaves no trace.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windrow_common::Timestamp;
use windrow_common::time::Clock;

/// Work that is quicker shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often [`ProgressLine::tick`] should be called.
pub const TICK: Duration = Duration::from_millis(100);

/// The line.
pub struct ProgressLine {
    bar: ProgressBar,
    clock: Clock,
    start: Timestamp,
    shown: bool,
    enabled: bool,
    unit: &'static str,
}

impl std::fmt::Debug for ProgressLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgressLine").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl ProgressLine {
    /// A line that counts `unit`s, `tasks` for example. Nothing is drawn yet.
    pub fn new(unit: &'static str) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let clock = Clock::start();
        ProgressLine { bar, start: clock.now(), clock, shown: false, enabled: std::io::stderr().is_terminal(), unit }
    }

    /// A line that never shows itself, for work that already has one.
    pub fn hidden() -> ProgressLine {
        let mut line = ProgressLine::new("");
        line.enabled = false;
        line
    }

    /// Says what is being done.
    pub fn message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Says how far it is.
    pub fn update(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.tick();
    }

    /// Draws, if it is time to.
    pub fn tick(&mut self) {
        if self.enabled && !self.shown && self.clock.now().since(self.start) >= PATIENCE {
            self.shown = true;
            self.bar.set_style(self.style());
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.tick();
    }

    /// Takes the line off the terminal for good, so that results can be printed.
    pub fn clear(&mut self) {
        self.enabled = false;
        self.bar.finish_and_clear();
    }

    fn style(&self) -> ProgressStyle {
        let template = match self.bar.length() {
            Some(_) => format!("{{spinner}} {{wide_msg}} [{{bar:30}}] {{pos}}/{{len}} {} {{elapsed}}", self.unit),
            None => "{spinner} {wide_msg} {elapsed}".to_owned(),
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        style.progress_chars("=> ")
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}
