//! Jobs as text: a row each, all of one, or JSON.

use std::time::Duration;

use windrow::JobInfo;
use windrow_common::ByteSize;

use crate::grid::{Align, Grid};
use crate::visible::{in_lines, on_one_line};

/// Characters of a job's text in a row.
const TEXT_WIDTH: usize = 48;

/// A row each. `now` in milliseconds since 1970.
pub fn jobs(jobs: &[JobInfo], now: u64) -> String {
    let mut grid = Grid::new(&[
        ("job", Align::Left),
        ("state", Align::Left),
        ("statement", Align::Right),
        ("tasks", Align::Right),
        ("took", Align::Right),
        ("key", Align::Left),
        ("text", Align::Left),
    ]);
    for job in jobs {
        grid.row(vec![
            job.id.to_string(),
            job.status.name().to_owned(),
            format!("{}/{}", job.statement.0, job.statement.1),
            format!("{}/{}", job.tasks.0, job.tasks.2),
            took(job, now),
            job.key.as_deref().map(on_one_line).unwrap_or_default(),
            beginning(&job.text),
        ]);
    }
    grid.to_string()
}

/// All of one.
pub fn job(job: &JobInfo, now: u64) -> String {
    let mut text = format!("job        {}\n", job.id.long());
    if let Some(key) = &job.key {
        text += &format!("key        {}\n", on_one_line(key));
    }
    text += &format!("state      {}\n", job.status.name());
    if let Some(error) = &job.error {
        text += &format!("error      {}\n", in_lines(&error.message));
    }
    text += &format!("took       {}\n", took(job, now));
    text += &format!("statement  {} of {}\n", job.statement.0, job.statement.1);
    let (done, running, total) = job.tasks;
    text += &format!("tasks      {done} done, {running} running, {total} in all\n");
    text += &format!("written    {} rows\n", job.rows_written);
    if !job.reports.is_empty() {
        text += &format!("\n{}", stages(job));
    }
    text + &format!("\n{}\n", in_lines(&job.text))
}

fn stages(job: &JobInfo) -> String {
    let mut grid = Grid::new(&[
        ("statement", Align::Right),
        ("stage", Align::Left),
        ("tasks", Align::Right),
        ("failed", Align::Right),
        ("workers", Align::Right),
        ("rows", Align::Right),
        ("output", Align::Right),
        ("fetched", Align::Right),
        ("spilled", Align::Right),
    ]);
    for (index, report) in job.reports.iter().enumerate() {
        for stage in &report.stages {
            let bytes = |bytes| ByteSize(bytes).to_string();
            grid.row(vec![
                (index + 1).to_string(),
                stage.stage.to_string(),
                stage.tasks.to_string(),
                stage.failed_attempts.to_string(),
                stage.workers.len().to_string(),
                stage.rows.to_string(),
                bytes(stage.output_bytes),
                bytes(stage.fetched_bytes),
                bytes(stage.spilled_bytes),
            ]);
        }
    }
    grid.to_string()
}

/// One JSON object.
pub fn json(job: &JobInfo) -> serde_json::Value {
    serde_json::json!({
        "id": job.id.long(),
        "key": job.key,
        "state": job.status.name(),
        "error": job.error.as_ref().map(|error| &error.message),
        "submitted_millis": job.submitted_millis,
        "ended_millis": job.ended_millis,
        "statement": job.statement.0,
        "statements": job.statement.1,
        "tasks": {"done": job.tasks.0, "running": job.tasks.1, "total": job.tasks.2},
        "rows_written": job.rows_written,
        "text": job.text,
    })
}

fn took(job: &JobInfo, now: u64) -> String {
    let millis = job.ended_millis.unwrap_or(now).saturating_sub(job.submitted_millis);
    format!("{:.1} s", Duration::from_millis(millis).as_secs_f64())
}

/// The first characters of a text, in one line.
fn beginning(text: &str) -> String {
    let line = on_one_line(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if line.chars().count() <= TEXT_WIDTH {
        return line;
    }
    line.chars().take(TEXT_WIDTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use windrow::JobStatus;
    use windrow_common::JobId;

    use super::*;

    fn sample() -> JobInfo {
        JobInfo {
            id: JobId(0x3f9a_12c4 << 96),
            key: Some("nightly".into()),
            text: "COPY (SELECT *\n  FROM lineitem) TO '/somewhere/that/is/rather/far/away'".into(),
            status: JobStatus::Running,
            error: None,
            submitted_millis: 1_000,
            ended_millis: None,
            statement: (2, 3),
            tasks: (4, 2, 9),
            rows_written: 10,
            reports: vec![],
        }
    }

    #[test]
    fn a_row_stays_one_line_and_says_how_far_it_is() {
        let text = jobs(&[sample()], 3_500);
        assert_eq!(text.lines().count(), 3);
        let row = text.lines().last().unwrap();
        for part in ["job-3f9a12c4", "running", "2/3", "4/9", "2.5 s", "nightly", "COPY (SELECT * FROM lineitem)", "…"]
        {
            assert!(row.contains(part), "{part}: {row}");
        }
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let evil = "\u{1b}]0;evil\u{7}\n\r";
        let error = Some(windrow_common::Error::user(evil));
        let sample = JobInfo { key: Some(evil.into()), text: evil.into(), error, ..sample() };
        for text in [jobs(std::slice::from_ref(&sample), 0), job(&sample, 0)] {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n') && text.contains("u{1b}"), "{text}");
        }
        assert_eq!(jobs(&[sample], 0).lines().count(), 3);
    }

    #[test]
    fn all_of_one_has_the_whole_id_and_text() {
        let text = job(&sample(), 3_500);
        assert!(text.contains(&sample().id.long()) && text.contains("far/away'"), "{text}");
        assert_eq!(json(&sample())["tasks"]["total"], 9);
    }
}
