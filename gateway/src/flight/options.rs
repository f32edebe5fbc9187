//! The session's settings, and its end.

use std::collections::HashMap;
use std::sync::Arc;

use windrow_coordinator::Session;
use windrow_proto::flight_session as wire;
use windrow_proto::flight_session::session_option_value::OptionValue;

use super::Gateway;

impl Gateway {
    /// Changes settings; says of each that could not be changed why.
    pub(super) async fn set_options(
        &self,
        session: &Arc<Session>,
        request: wire::SetSessionOptionsRequest,
    ) -> wire::SetSessionOptionsResult {
        use wire::set_session_options_result::{Error, ErrorValue};
        let known = session.engine().settings();
        let mut errors = HashMap::new();
        let mut wanted: Vec<_> = request.session_options.into_iter().collect();
        wanted.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, value) in wanted {
            let failure = match text(value) {
                Some(value) => match session.engine().set(&name, &value).await {
                    Ok(()) => continue,
                    // Settings without a value are not listed, so that an unknown name may be a known one.
                    Err(_) if known.contains_key(&name) => ErrorValue::InvalidValue,
                    Err(error) => {
                        tracing::debug!(name, %error, "a setting was refused");
                        ErrorValue::InvalidName
                    }
                },
                None => ErrorValue::InvalidValue,
            };
            errors.insert(name, Error { value: failure as i32 });
        }
        wire::SetSessionOptionsResult { errors }
    }

    /// The settings of the session.
    pub(super) fn options(session: &Session) -> wire::GetSessionOptionsResult {
        let settings = session.engine().settings().into_iter();
        let session_options = settings.map(|(name, value)| {
            (name, wire::SessionOptionValue { option_value: Some(OptionValue::StringValue(value)) })
        });
        wire::GetSessionOptionsResult { session_options: session_options.collect() }
    }

    /// Ends the session.
    pub(super) fn close_session(&self, session: &Session) -> wire::CloseSessionResult {
        self.control.close(session.id());
        wire::CloseSessionResult { status: wire::close_session_result::Status::Closed as i32 }
    }
}

/// A value as SET takes it; none for one that is to be unset, or a list.
fn text(value: wire::SessionOptionValue) -> Option<String> {
    match value.option_value? {
        OptionValue::StringValue(text) => Some(text),
        OptionValue::BoolValue(yes) => Some(yes.to_string()),
        OptionValue::Int64Value(number) => Some(number.to_string()),
        OptionValue::DoubleValue(number) => Some(number.to_string()),
        OptionValue::StringListValue(_) => None,
    }
}
