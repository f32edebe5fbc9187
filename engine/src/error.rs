//! From DataFusion's errors to ours, keeping their kind. A cause that one of our own parts put in is found again by type,
//! however deep; texts are never parsed.

use std::error::Error as StdError;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use windrow_common::{Error, ErrorKind};

/// Wraps an error of ours so that it travels through DataFusion unchanged.
pub fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The kind and text of an error from planning or running.
pub fn classify(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => classify_any(inner.as_ref()),
        DataFusionError::Context(context, inner) => {
            let inner = classify(inner);
            // Contexts that name places in DataFusion's own sources help nobody.
            if context.contains(".rs:") { inner } else { inner.context(context) }
        }
        DataFusionError::Diagnostic(diagnostic, inner) => with_position(classify(inner), diagnostic),
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(all) => {
            all.first().map_or_else(|| Error::internal("an error without a cause"), classify)
        }
        DataFusionError::ArrowError(inner, _) => classify_arrow(inner),
        DataFusionError::ParquetError(inner) => classify_parquet(inner),
        DataFusionError::ObjectStore(inner) => classify_store(inner),
        DataFusionError::IoError(inner) => classify_io(inner),
        DataFusionError::SQL(inner, _) => {
            Error::user(format!("syntax error: {}", strip_parser_prefix(&inner.to_string())))
        }
        DataFusionError::SchemaError(inner, _) => classify_schema(inner),
        DataFusionError::NotImplemented(text) => Error::new(ErrorKind::Unsupported, text.clone()),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) | DataFusionError::Execution(text) => {
            Error::user(text.clone())
        }
        DataFusionError::ResourcesExhausted(text) => Error::new(ErrorKind::OutOfMemory, text.clone()),
        DataFusionError::ExecutionJoin(join) => Error::internal(format!("a part of the query crashed: {join}")),
        DataFusionError::Internal(text) | DataFusionError::Substrait(text) | DataFusionError::Ffi(text) => {
            Error::internal(text.clone())
        }
    }
}

fn strip_parser_prefix(text: &str) -> &str {
    text.trim_start_matches("sql parser error: ").trim_start_matches("ParserError(\"")
}

fn with_position(mut error: Error, diagnostic: &datafusion::common::Diagnostic) -> Error {
    if let Some(span) = diagnostic.span
        && !error.message.contains("Line:")
    {
        error.message = format!("{} at Line: {}, Column: {}", error.message, span.start.line, span.start.column);
    }
    error
}

/// Looks for a typed cause in an error that came through somebody else's box.
fn classify_any(error: &(dyn StdError + 'static)) -> Error {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return ours.clone();
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return classify(inner);
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return classify_arrow(inner);
    }
    if let Some(inner) = error.downcast_ref::<ParquetError>() {
        return classify_parquet(inner);
    }
    if let Some(inner) = error.downcast_ref::<object_store::Error>() {
        return classify_store(inner);
    }
    if let Some(inner) = error.downcast_ref::<std::io::Error>() {
        return classify_io(inner);
    }
    match error.source() {
        Some(source) => classify_any(source),
        None => Error::internal(error.to_string()),
    }
}

fn classify_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => classify_any(inner.as_ref()),
        ArrowError::IoError(_, inner) => classify_io(inner),
        ArrowError::DivideByZero => Error::user("division by zero"),
        ArrowError::MemoryError(text) => Error::new(ErrorKind::OutOfMemory, text.clone()),
        ArrowError::NotYetImplemented(text) => Error::new(ErrorKind::Unsupported, text.clone()),
        ArrowError::SchemaError(_)
        | ArrowError::CDataInterface(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError
        | ArrowError::OffsetOverflowError(_) => Error::internal(error.to_string()),
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::AvroError(_)
        | ArrowError::IpcError(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::ParquetError(_) => Error::user(error.to_string()),
    }
}

fn classify_parquet(error: &ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => classify_any(inner.as_ref()),
        other => Error::user(format!("not a readable Parquet file: {other}")),
    }
}

/// The kind and text of an error of a store.
pub fn classify_store(error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { path, .. } => {
            Error::new(ErrorKind::NotFound, format!("/{} does not exist", path.trim_start_matches('/')))
        }
        object_store::Error::AlreadyExists { path, .. } => {
            Error::new(ErrorKind::AlreadyExists, format!("/{} exists already", path.trim_start_matches('/')))
        }
        object_store::Error::PermissionDenied { path, .. } => {
            Error::user(format!("no permission to access /{}", path.trim_start_matches('/')))
        }
        object_store::Error::Generic { source, .. } => {
            let inner = classify_any(source.as_ref());
            if inner.kind == ErrorKind::Internal { Error::io(error.to_string()) } else { inner }
        }
        other => Error::io(other.to_string()),
    }
}

fn classify_io(error: &std::io::Error) -> Error {
    if let Some(inner) = error.get_ref() {
        let inner = classify_any(inner);
        if inner.kind != ErrorKind::Internal {
            return inner;
        }
    }
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, error.to_string()),
        _ => Error::io(error.to_string()),
    }
}

fn classify_schema(error: &SchemaError) -> Error {
    let kind = match error {
        SchemaError::FieldNotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::User,
    };
    Error::new(kind, error.to_string())
}
