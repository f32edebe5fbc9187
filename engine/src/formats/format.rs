//! A format as DataFusion knows formats: what the columns of files are, and the scan that reads them.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::evolution::{merge_by, merge_schemas};
use super::fetch::Source;
use super::options::FormatOptions;
use super::scan::FormatSource;
use super::text::opener::{reading, text_file};
use super::{avro, csv, ipc, json};
use crate::error::external;

/// Text files that are looked at for a schema; all others must have the same columns, or fewer.
const SAMPLED_FILES: usize = 256;
/// Files that are looked at at once.
const AT_ONCE: usize = 32;

/// Text, Arrow IPC and Avro.
#[derive(Clone, Debug)]
pub struct Format(pub Arc<FormatOptions>);

impl Format {
    /// The columns of one file, and whether it has any records.
    async fn columns(&self, source: &Source) -> Result<Schema> {
        if let (Some(reading), Some(text)) = (reading(&self.0), self.0.text()) {
            let file = text_file(source.clone(), &self.0, text);
            return match self.0.as_ref() {
                FormatOptions::Csv(options) => csv::inference::infer(&file, &reading, options).await,
                FormatOptions::Json(options) => json::inference::infer(&file, &reading, options).await,
                _ => Err(source.error("it is not of a text format")),
            };
        }
        match self.0.as_ref() {
            FormatOptions::Arrow => ipc::opener::schema(source).await,
            _ => avro::opener::schema(source).await,
        }
    }

    fn merge(&self, files: &[(String, Schema)]) -> Result<Schema> {
        let files = || files.iter().map(|(name, schema)| (name.as_str(), schema));
        let merged = match self.0.as_ref() {
            FormatOptions::Csv(_) => merge_by(files(), &|one, other| Some(csv::inference::wider(one, other))),
            FormatOptions::Json(_) => merge_by(files(), &json::inference::wider),
            _ => return merge_schemas(files()).map_err(external),
        };
        let merged = merged.map_err(external)?;
        let known = |field: &Arc<Field>| {
            let data_type = json::inference::without_nulls(field.data_type());
            field.as_ref().clone().with_data_type(data_type)
        };
        Ok(Schema::new(merged.fields().iter().map(known).collect::<Vec<_>>()))
    }
}

/// So many of the files, spread over all of them, with the first and the last.
fn sampled(objects: &[ObjectMeta]) -> Vec<&ObjectMeta> {
    if objects.len() <= SAMPLED_FILES {
        return objects.iter().collect();
    }
    (0..SAMPLED_FILES).map(|at| &objects[at * (objects.len() - 1) / (SAMPLED_FILES - 1)]).collect()
}

#[async_trait]
impl FileFormat for Format {
    fn get_ext(&self) -> String {
        self.0.extension()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        let own = self.0.text().map_or_else(String::new, |text| text.compression.extension());
        let extension = self.0.extension();
        let plain = extension.strip_suffix(&own).unwrap_or(&extension);
        Ok(format!("{plain}{}", datafusion::common::GetExt::get_ext(compression)))
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.0.text().map(|text| text.compression.file_type())
    }

    async fn infer_schema(
        &self,
        _state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        let looked_at: Vec<&ObjectMeta> =
            if self.0.text().is_some() { sampled(objects) } else { objects.iter().collect() };
        let sources: Vec<Source> = looked_at.into_iter().map(|object| Source::new(store, object)).collect();
        let columns = sources.into_iter().map(|source| async move {
            let schema = self.columns(&source).await.map_err(|error| source.named(&error))?;
            Ok::<_, datafusion::error::DataFusionError>((source.shown.to_string(), schema))
        });
        let files: Vec<(String, Schema)> = stream::iter(columns).buffered(AT_ONCE).try_collect().await?;
        // An empty file says nothing of the others' columns, not even that they may be missing.
        let files: Vec<_> = files.into_iter().filter(|(_, schema)| !schema.fields().is_empty()).collect();
        Ok(Arc::new(self.merge(&files)?))
    }

    async fn infer_stats(
        &self,
        _state: &dyn Session,
        _store: &Arc<dyn ObjectStore>,
        table_schema: SchemaRef,
        _object: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&table_schema))
    }

    async fn create_physical_plan(&self, _state: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(DataSourceExec::from_data_source(scan))
    }

    fn file_source(&self, table_schema: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(FormatSource::new(Arc::clone(&self.0), table_schema))
    }
}
