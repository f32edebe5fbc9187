//! Errors as S3 says them.

use crate::answer::Answer;
use crate::xml::escape;

/// A request that is not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    pub(crate) fn not_implemented(what: &str) -> Refusal {
        Refusal::new(501, "NotImplemented", format!("This server has no {what}."))
    }

    /// What S3 says with such a status, for faults.
    pub(crate) fn of_status(status: u16) -> Refusal {
        let (code, message) = match status {
            400 => ("RequestTimeout", "Your socket connection to the server was not read from or written to in time."),
            403 => ("AccessDenied", "Access Denied"),
            404 => ("NoSuchKey", "The specified key does not exist."),
            409 => ("ConditionalRequestConflict", "A conflicting operation occurred. Try again."),
            412 => ("PreconditionFailed", "At least one of the preconditions you specified did not hold."),
            429 | 503 => ("SlowDown", "Please reduce your request rate."),
            500 => ("InternalError", "We encountered an internal error. Please try again."),
            502 => ("BadGateway", "Bad gateway."),
            504 => ("GatewayTimeout", "Gateway timeout."),
            _ => ("UnknownError", "An error that was asked for."),
        };
        Refusal::new(status, code, message)
    }

    pub(crate) fn answer(&self, resource: &str) -> Answer {
        let text = format!(
            "<Error><Code>{}</Code><Message>{}</Message><Resource>{}</Resource><RequestId>TEST</RequestId></Error>",
            self.code,
            escape(&self.message),
            escape(resource)
        );
        let answer = Answer::xml(self.status, &text);
        if matches!(self.status, 429 | 503) { answer.header("retry-after", "1") } else { answer }
    }
}
