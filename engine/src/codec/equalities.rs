//! What is known of an exchange's columns, as a message and back.

use datafusion::arrow::datatypes::Schema;
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion_proto::protobuf;
use prost::Message;

use super::messages::Equality;
use crate::exchange::equalities::{Constant, EqualColumns};

pub(super) fn equality_to_message(equal: &EqualColumns) -> Result<Equality> {
    let value = match &equal.constant {
        Some(Constant::Known(value)) => {
            let message = protobuf::ScalarValue::try_from(value)
                .map_err(|e| internal_datafusion_err!("a constant cannot be encoded: {e}"))?;
            Some(message.encode_to_vec())
        }
        Some(Constant::PerPartition) | None => None,
    };
    let columns = equal.columns.iter().map(|column| *column as u32).collect();
    Ok(Equality { columns, constant: equal.constant.is_some(), value })
}

pub(super) fn equality_from_message(message: &Equality, schema: &Schema) -> Result<EqualColumns> {
    let columns: Vec<usize> = message.columns.iter().map(|column| *column as usize).collect();
    if columns.iter().any(|column| *column >= schema.fields().len()) {
        return internal_err!("an exchange of a stage's plan names a column that it does not have");
    }
    let constant = match &message.value {
        Some(bytes) => {
            let message = protobuf::ScalarValue::decode(bytes.as_slice())
                .map_err(|e| internal_datafusion_err!("a constant of a stage's plan is damaged: {e}"))?;
            let value = ScalarValue::try_from(&message)
                .map_err(|e| internal_datafusion_err!("a constant of a stage's plan is damaged: {e}"))?;
            Some(Constant::Known(value))
        }
        None => message.constant.then_some(Constant::PerPartition),
    };
    Ok(EqualColumns { columns, constant })
}
