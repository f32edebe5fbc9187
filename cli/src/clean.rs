//! `windrow clean`: takes away what writers that died have left behind.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windrow::{AbandonReport, CleanReport};
use windrow_common::Result;
use windrow_common::config::{STORES_VARIABLE, StoreAccess};

use crate::duration;
use crate::interrupt::Interrupt;
use crate::stdout::print;

/// `windrow clean`.
#[derive(Debug, Args)]
pub struct CleanCommand {
    /// The directory: a path, or a URL such as s3://bucket/table
    #[arg(value_name = "LOCATION")]
    pub location: String,
    /// Leave alone what a write without a decision has staged, until all of it is this old: the write may be under way
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
    pub older_than: Duration,
    /// File that says how object stores are reached; without it, the environment does
    #[arg(long, value_name = "FILE", env = STORES_VARIABLE)]
    pub stores: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Give up a decided write whose files are lost, so that others can write there again: all of it is taken back, and
    /// what was there before stays. The errors of other writes say its name
    #[arg(long, value_name = "WRITE", conflicts_with = "dry_run")]
    pub abandon: Option<String>,
}

impl CleanCommand {
    /// Cleans up. Nothing that readers see is ever removed, but for a write that is to be given up.
    pub async fn run(self) -> Result<()> {
        let mut interrupt = Interrupt::listen()?;
        let access = StoreAccess { file: self.stores.clone(), allow: vec![] };
        if let Some(write) = &self.abandon {
            let report = interrupt.or_cancelled(windrow::abandon(&self.location, write, &access)).await?;
            return print(&given_up(&report));
        }
        let cleaning = windrow::clean(&self.location, self.older_than, self.dry_run, &access);
        let report = interrupt.or_cancelled(cleaning).await?;
        print(&told(&report, self.dry_run))
    }
}

fn given_up(report: &AbandonReport) -> String {
    let AbandonReport { lost, rows } = report;
    match lost.as_slice() {
        [] => "no file of the write is lost: it was brought to its end\n".to_owned(),
        [one] => format!("the write of {rows} rows is taken back; its file {one} is lost\n"),
        [first, rest @ ..] => {
            format!("the write of {rows} rows is taken back; its file {first} and {} more are lost\n", rest.len())
        }
    }
}

fn told(report: &CleanReport, dry_run: bool) -> String {
    let CleanReport { finished, aborted, files, bytes, uploads, kept } = *report;
    let would = if dry_run { "would be " } else { "" };
    let mut lines = Vec::new();
    for (count, one, many, done) in [
        (finished, "decided write", "decided writes", "published to the end"),
        (aborted, "undecided write", "undecided writes", "decided against"),
        (uploads, "upload", "uploads", "aborted"),
    ] {
        match count {
            0 => {}
            1 => lines.push(format!("1 {one} {would}{done}\n")),
            n => lines.push(format!("{n} {many} {would}{done}\n")),
        }
    }
    match files {
        0 => {}
        1 => lines.push(format!("1 file ({bytes} bytes) {would}removed\n")),
        n => lines.push(format!("{n} files ({bytes} bytes) {would}removed\n")),
    }
    if lines.is_empty() {
        lines.push("there is nothing to clean up\n".to_owned());
    }
    match kept {
        0 => {}
        1 => lines.push("1 file stays: it may be of a write that is under way (--older-than)\n".to_owned()),
        n => lines.push(format!("{n} files stay: they may be of a write that is under way (--older-than)\n")),
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_lost() {
        let said =
            |lost: &[&str]| given_up(&AbandonReport { lost: lost.iter().map(|l| (*l).into()).collect(), rows: 7 });
        assert!(said(&[]).contains("brought to its end"));
        assert!(said(&["a.parquet"]).contains("7 rows is taken back; its file a.parquet is lost"));
        assert!(said(&["a", "b", "c"]).contains("a and 2 more are lost"));
    }

    #[test]
    fn it_says_what_was_done_and_nothing_else() {
        assert_eq!(told(&CleanReport::default(), false), "there is nothing to clean up\n");
        let report = CleanReport { finished: 1, aborted: 2, files: 1, bytes: 10, uploads: 3, kept: 1 };
        let expected = "1 decided write would be published to the end\n2 undecided writes would be decided against\n\
                        3 uploads would be aborted\n1 file (10 bytes) would be removed\n\
                        1 file stays: it may be of a write that is under way (--older-than)\n";
        assert_eq!(told(&report, true), expected);
        assert!(!told(&report, false).contains("would"));
    }
}
