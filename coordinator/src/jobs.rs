//! The jobs of this coordinator as people see them: those that run and the last ones that ended. Owns what is shown and
//! the wish to cancel; how a job runs is the business of [`crate::execution`] and of the driver.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windrow_common::time::unix_millis;
use windrow_common::{Error, ErrorKind, JobId, JobInfo, JobReport, JobStatus, Result, limits};

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs(Arc<Mutex<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    jobs: BTreeMap<JobId, Entry>,
    keys: BTreeMap<String, (JobId, u64)>,
    ended_scripts: Ended,
    ended_statements: Ended,
}

/// Jobs in the order in which they ended; the oldest are forgotten first.
type Ended = VecDeque<JobId>;

/// Where a job comes from. The ends of one kind do not push out the other: a script's key must stay known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// It was handed over.
    Script,
    /// Somebody runs it in a session.
    Statement,
}

#[derive(Debug)]
struct Entry {
    kind: JobKind,
    info: watch::Sender<JobInfo>,
    cancel: CancellationToken,
}

/// What somebody wants to run.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub id: JobId,
    pub kind: JobKind,
    /// A key that the client chose, and a fingerprint of what it submitted under it.
    pub key: Option<(String, u64)>,
    pub text: String,
    pub statements: u32,
}

/// Whether a job is new.
pub(crate) enum Begun {
    New(JobTicket),
    /// The key was known.
    Known(JobInfo),
}

impl Jobs {
    /// Lists a new job; a known key gives the job that has it.
    pub fn begin(&self, new: NewJob) -> Result<Begun> {
        let mut listed = self.lock();
        if let Some((key, fingerprint)) = &new.key
            && let Some(known) = listed.known(key, *fingerprint)?
        {
            return Ok(Begun::Known(known));
        }
        if listed.jobs.contains_key(&new.id) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{} is there already", new.id)));
        }
        if listed.jobs.len() - listed.ended_scripts.len() - listed.ended_statements.len() >= limits::MAX_JOBS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{} jobs are queued or running, which is the limit; wait for some to end", limits::MAX_JOBS),
            ));
        }
        if let Some((key, fingerprint)) = &new.key {
            listed.keys.insert(key.clone(), (new.id, *fingerprint));
        }
        let info = JobInfo {
            id: new.id,
            key: new.key.map(|(key, _)| key),
            text: shortened(&new.text),
            status: JobStatus::Planning,
            error: None,
            submitted_millis: unix_millis(),
            ended_millis: None,
            statement: (1, new.statements),
            tasks: (0, 0, 0),
            rows_written: 0,
            reports: vec![],
        };
        let (info, cancel) = (watch::Sender::new(info), CancellationToken::new());
        listed.jobs.insert(new.id, Entry { kind: new.kind, info: info.clone(), cancel: cancel.clone() });
        Ok(Begun::New(JobTicket { info, cancel, jobs: self.clone() }))
    }

    /// So many of those that are known, newest first, without reports; and how many are known.
    pub fn list(&self, limit: usize) -> (Vec<JobInfo>, usize) {
        let listed = self.lock();
        let mut all: Vec<_> = listed.jobs.iter().map(|(id, e)| (e.info.borrow().submitted_millis, id, e)).collect();
        all.sort_by_key(|(submitted, id, _)| std::cmp::Reverse((*submitted, **id)));
        (all.iter().take(limit).map(|(_, _, entry)| entry.info.borrow().brief()).collect(), all.len())
    }

    /// A job, by its id or by as much of it as is needed.
    pub fn find(&self, name: &str) -> Result<watch::Receiver<JobInfo>> {
        self.with(name, |entry| entry.info.subscribe())
    }

    /// Asks a job to stop; gives what it was.
    pub fn cancel(&self, name: &str) -> Result<JobInfo> {
        self.with(name, |entry| {
            entry.cancel.cancel();
            entry.info.borrow().brief()
        })
    }

    fn with<T>(&self, name: &str, found: impl FnOnce(&Entry) -> T) -> Result<T> {
        let digits = name.strip_prefix("job-").unwrap_or(name).to_ascii_lowercase();
        if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::user(format!("'{name}' is no id of a job; they look like job-3f9a12c4")));
        }
        let listed = self.lock();
        let mut matching = listed.jobs.iter().filter(|(id, _)| id.long().starts_with(&digits));
        match (matching.next(), matching.next()) {
            (Some((_, entry)), None) => Ok(found(entry)),
            (Some((one, _)), Some((other, _))) => Err(Error::user(format!(
                "'{name}' means several jobs, among them {} and {}; write more of the id",
                one.long(),
                other.long()
            ))),
            (None, _) => Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no job {name} here; it never was, or it ended long ago and is forgotten"),
            )),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    /// The job that has this key.
    fn known(&self, key: &str, fingerprint: u64) -> Result<Option<JobInfo>> {
        let Some((known, same)) = self.keys.get(key) else { return Ok(None) };
        if *same != fingerprint {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "the key '{key}' belongs to {known}, which was submitted with another text; choose another key"
                ),
            ));
        }
        Ok(self.jobs.get(known).map(|entry| entry.info.borrow().brief()))
    }
}

/// The right to say how a job goes on. A job whose ticket is dropped without an end has failed.
#[derive(Debug)]
pub(crate) struct JobTicket {
    info: watch::Sender<JobInfo>,
    cancel: CancellationToken,
    jobs: Jobs,
}

impl JobTicket {
    /// Its id.
    pub fn id(&self) -> JobId {
        self.info.borrow().id
    }

    /// The job as it is now.
    pub fn info(&self) -> JobInfo {
        self.info.borrow().clone()
    }

    /// Is cancelled when somebody wants it to stop.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Whether somebody wants it to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The next statement, from 1, is being planned.
    pub fn statement(&self, number: u32) {
        self.info.send_modify(|job| {
            job.status = JobStatus::Planning;
            job.statement.0 = number;
            job.tasks = (0, 0, 0);
        });
    }

    /// Tasks accepted, running and all of the statement.
    pub fn progress(&self, tasks: (u32, u32, u32)) {
        self.info.send_modify(|job| {
            job.status = JobStatus::Running;
            job.tasks = tasks;
        });
    }

    /// So many more rows are written.
    pub fn wrote(&self, rows: u64) {
        self.info.send_modify(|job| job.rows_written += rows);
    }

    /// A statement has ended well.
    pub fn done(&self, report: JobReport) {
        self.info.send_modify(|job| job.reports.push(report));
    }

    /// It was nothing worth listing.
    pub fn forget(&self) {
        self.jobs.lock().jobs.remove(&self.id());
    }

    /// The job has ended; what is said of its end later changes nothing.
    pub fn end(&self, outcome: &Result<()>) {
        if self.info.borrow().status.is_end() {
            return;
        }
        self.info.send_modify(|job| {
            job.ended_millis = Some(unix_millis());
            job.status = match outcome {
                Ok(()) => JobStatus::Succeeded,
                Err(error) if error.kind == ErrorKind::Cancelled => JobStatus::Cancelled,
                Err(_) => JobStatus::Failed,
            };
            job.error = outcome.as_ref().err().filter(|error| error.kind != ErrorKind::Cancelled).cloned();
        });
        let id = self.id();
        let mut listed = self.jobs.lock();
        let Some(kind) = listed.jobs.get(&id).map(|entry| entry.kind) else { return };
        let (ended, limit) = match kind {
            JobKind::Script => (&mut listed.ended_scripts, limits::MAX_ENDED_SCRIPTS),
            JobKind::Statement => (&mut listed.ended_statements, limits::MAX_ENDED_STATEMENTS),
        };
        ended.push_back(id);
        // They come one by one.
        let oldest = if ended.len() > limit { ended.pop_front() } else { None };
        if let Some(oldest) = oldest {
            let forgotten = listed.jobs.remove(&oldest).and_then(|entry| entry.info.borrow().key.clone());
            if let Some(key) = forgotten {
                listed.keys.remove(&key);
            }
        }
    }
}

impl Drop for JobTicket {
    fn drop(&mut self) {
        self.end(&Err(Error::unavailable("the coordinator stopped before the job had ended")));
    }
}

/// The beginning of a text, cut at a character.
fn shortened(text: &str) -> String {
    let text = text.trim();
    let mut end = text.len().min(limits::JOB_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u128, key: Option<(&str, u64)>) -> NewJob {
        let key = key.map(|(key, fingerprint)| (key.to_owned(), fingerprint));
        NewJob { id: JobId(number << 96), kind: JobKind::Script, key, text: "SELECT 'ä'".into(), statements: 1 }
    }

    fn begun(jobs: &Jobs, new: NewJob) -> JobTicket {
        match jobs.begin(new).unwrap() {
            Begun::New(ticket) => ticket,
            Begun::Known(job) => panic!("{} was known", job.id),
        }
    }

    #[test]
    fn the_same_key_is_the_same_job_even_after_its_end() {
        let jobs = Jobs::default();
        let ticket = begun(&jobs, job(1, Some(("nightly", 5))));
        assert!(
            matches!(jobs.begin(job(2, Some(("nightly", 5)))).unwrap(), Begun::Known(known) if known.id.0 == 1 << 96)
        );
        ticket.end(&Ok(()));
        let Begun::Known(known) = jobs.begin(job(3, Some(("nightly", 5)))).unwrap() else { panic!("it was known") };
        assert_eq!(known.status, JobStatus::Succeeded);
        let error = jobs.begin(job(4, Some(("nightly", 6)))).err().unwrap();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_job_is_found_by_as_much_of_its_id_as_is_needed() {
        let jobs = Jobs::default();
        let _one = begun(&jobs, job(0x3f9a_12c4, None));
        let _two = begun(&jobs, job(0x3f9b_0000, None));
        assert_eq!(jobs.find("job-3f9a12c4").unwrap().borrow().id.0, 0x3f9a_12c4 << 96);
        assert_eq!(jobs.find("3F9B").unwrap().borrow().id.0, 0x3f9b_0000 << 96);
        assert!(jobs.find("3f9").unwrap_err().message.contains("several"));
        assert_eq!(jobs.find("77").unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(jobs.find("no").unwrap_err().kind, ErrorKind::User);
    }

    #[test]
    fn old_jobs_are_forgotten_with_their_keys_and_running_ones_never() {
        let jobs = Jobs::default();
        let running = begun(&jobs, job(1, Some(("kept", 0))));
        for number in 0..=limits::MAX_ENDED_SCRIPTS as u128 {
            let key = format!("key {number}");
            begun(&jobs, job(10 + number, Some((&key, 0)))).end(&Ok(()));
        }
        assert_eq!(jobs.list(5).1, limits::MAX_ENDED_SCRIPTS + 1);
        assert_eq!(jobs.list(5).0.len(), 5);
        assert_eq!(jobs.lock().keys.len(), limits::MAX_ENDED_SCRIPTS + 1);
        assert_eq!(jobs.find(&running.info().id.long()).unwrap().borrow().status, JobStatus::Planning);
    }

    #[test]
    fn statements_do_not_push_out_keys() {
        let jobs = Jobs::default();
        begun(&jobs, job(1, Some(("kept", 0)))).end(&Ok(()));
        for number in 0..=limits::MAX_ENDED_STATEMENTS as u128 {
            begun(&jobs, NewJob { kind: JobKind::Statement, ..job(10 + number, None) }).end(&Ok(()));
        }
        assert_eq!(jobs.list(0).1, limits::MAX_ENDED_STATEMENTS + 1);
        assert!(matches!(jobs.begin(job(2, Some(("kept", 0)))).unwrap(), Begun::Known(_)));
        assert_eq!(jobs.begin(job(1, None)).err().unwrap().kind, ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_job_that_nobody_ended_has_failed_and_a_cancelled_one_has_no_error() {
        let jobs = Jobs::default();
        drop(begun(&jobs, job(1, None)));
        assert_eq!(jobs.list(1).0[0].status, JobStatus::Failed);
        let ticket = begun(&jobs, job(2, None));
        ticket.end(&Err(Error::cancelled()));
        ticket.end(&Ok(()));
        let cancelled = jobs.find("00000002").unwrap();
        assert_eq!((cancelled.borrow().status, cancelled.borrow().error.clone()), (JobStatus::Cancelled, None));
    }
}
