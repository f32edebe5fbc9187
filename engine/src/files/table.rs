//! A table over files. Each scan looks at what files there are now, and pins them: their sizes and tags go with the plan.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Constraints, Result, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::SchemaFingerprint;
use datafusion::logical_expr::{Expr, SortExpr, TableProviderFilterPushDown};
use datafusion::physical_expr::{LexOrdering, create_lex_ordering};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::compute_all_files_statistics;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::factory::left_out;
use super::hive::{PartitionColumn, Pruning};
use super::listing::{self, Found, Wanted};
use super::splits::{Cuts, share_out};
use super::{format, statistics};
use crate::error::{classify, external};
use crate::formats::compression::Compression;
use crate::stores::{Location, Stores, file_name};

/// Times that directories are listed again because a write was published meanwhile.
const MAX_ROUNDS: usize = 20;

/// A table over files.
pub struct FilesTable {
    /// Its places, all in one store.
    pub locations: Vec<Location>,
    stores: Arc<Stores>,
    /// Whether directories that are no partitions are looked into.
    pub subdirectories: bool,
    /// Which files of a directory belong to it.
    pub names: Names,
    /// The format of its files.
    pub format: Arc<dyn FileFormat>,
    /// The format's name, as STORED AS has it.
    pub format_name: String,
    /// The options of the format that the table was made with.
    pub options: BTreeMap<String, String>,
    /// The columns in its files.
    pub file_schema: SchemaRef,
    /// The columns in the names of its directories.
    pub partition_columns: Vec<PartitionColumn>,
    /// The order that its files are declared to have.
    pub order: Vec<Vec<SortExpr>>,
    /// Declared constraints.
    pub constraints: Constraints,
    /// Declared defaults.
    pub defaults: HashMap<String, Expr>,
    /// The statement that made it.
    pub definition: Option<String>,
    schema: SchemaRef,
    fingerprint: Arc<SchemaFingerprint>,
}

/// Which files of a directory belong to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All.
    All,
    /// Those whose name tells this format and this compression.
    Of(&'static str, Compression),
}

impl Names {
    /// Whether a file of this name belongs to the table.
    pub fn include(&self, path: &str) -> bool {
        match self {
            Names::All => true,
            Names::Of(format, compression) => format::of_path(path) == Some((*format, *compression)),
        }
    }
}

/// What makes a table over files.
pub(super) struct Parts {
    pub(super) locations: Vec<Location>,
    pub(super) stores: Arc<Stores>,
    pub(super) subdirectories: bool,
    pub(super) names: Names,
    pub(super) format: Arc<dyn FileFormat>,
    pub(super) format_name: String,
    pub(super) options: BTreeMap<String, String>,
    pub(super) file_schema: SchemaRef,
    pub(super) partition_columns: Vec<PartitionColumn>,
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.locations.iter().map(ToString::to_string).collect();
        write!(f, "FilesTable({} {:?} {})", self.format_name, self.options.keys(), places.join(", "))
    }
}

impl FilesTable {
    pub(super) fn new(parts: Parts) -> Self {
        let mut fields: Vec<_> = parts.file_schema.fields().iter().cloned().collect();
        fields.extend(parts.partition_columns.iter().map(|column| Arc::new(column.field())));
        let schema = Arc::new(Schema::new_with_metadata(fields, parts.file_schema.metadata().clone()));
        let fingerprint = Arc::new(SchemaFingerprint::from_schema(&parts.file_schema));
        Self {
            locations: parts.locations,
            stores: parts.stores,
            subdirectories: parts.subdirectories,
            names: parts.names,
            format: parts.format,
            format_name: parts.format_name,
            options: parts.options,
            file_schema: parts.file_schema,
            partition_columns: parts.partition_columns,
            order: vec![],
            constraints: Constraints::default(),
            defaults: HashMap::new(),
            definition: None,
            schema,
            fingerprint,
        }
    }

    /// The declared order names columns that there are.
    pub fn check_order(&self) -> windrow_common::Result<()> {
        let columns = self.order.iter().flatten().flat_map(|sort| sort.expr.column_refs());
        for column in columns {
            if self.schema.column_with_name(&column.name).is_none() {
                let message = format!("WITH ORDER names a column '{}' that the table does not have", column.name);
                return Err(windrow_common::Error::new(windrow_common::ErrorKind::NotFound, message));
            }
        }
        Ok(())
    }

    fn by_partition(&self, filter: &Expr) -> bool {
        let known = |name: &str| self.partition_columns.iter().any(|column| column.name == name);
        let columns = filter.column_refs();
        !columns.is_empty() && columns.iter().all(|column| known(&column.name)) && !filter.is_volatile()
    }

    /// For each number of leading partition columns, the conditions that these decide.
    fn pruning(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Pruning>> {
        let filters: Vec<&Expr> = filters.iter().filter(|filter| self.by_partition(filter)).collect();
        (1..=self.partition_columns.len())
            .map(|count| {
                let columns = &self.partition_columns[..count];
                let known = |column: &&Column| columns.iter().any(|known| known.name == column.name);
                let decided: Vec<&Expr> =
                    filters.iter().copied().filter(|filter| filter.column_refs().iter().all(known)).collect();
                Pruning::new(columns, &decided, state.execution_props())
            })
            .collect()
    }

    /// What writers have decided about the places whose directories are listed one by one: a write that is published
    /// meanwhile would be seen in some of them only.
    async fn decisions(&self, pruning: &[Pruning]) -> Result<Vec<Vec<(u64, bool)>>> {
        let mut decisions = vec![];
        if pruning.iter().any(|pruning| !pruning.is_empty()) {
            for location in self.locations.iter().filter(|location| !location.is_pattern() && !location.is_web()) {
                decisions.push(self.stores.decisions(location).await.map_err(external)?);
            }
        }
        Ok(decisions)
    }

    async fn found(&self, state: &dyn Session, filters: &[Expr]) -> Result<Arc<Vec<Found>>> {
        let pruning = self.pruning(state, filters)?;
        let snapshot = state.config().get_extension::<Snapshot>();
        let key = self.listed_as(&pruning);
        if let Some(found) = snapshot.as_ref().and_then(|snapshot| snapshot.get(&key)) {
            return Ok(found);
        }
        for _ in 0..MAX_ROUNDS {
            let before = self.decisions(&pruning).await?;
            let found = Arc::new(self.listed(state, &pruning).await?);
            if self.decisions(&pruning).await? != before {
                continue;
            }
            if let Some(snapshot) = snapshot {
                snapshot.put(key, &found).map_err(external)?;
            }
            return Ok(found);
        }
        let place = self.locations.first().map(ToString::to_string).unwrap_or_default();
        Err(external(windrow_common::Error::io(format!(
            "'{place}' is written to so often that it could not be listed at rest; try again"
        ))))
    }

    async fn listed(&self, state: &dyn Session, pruning: &[Pruning]) -> Result<Vec<Found>> {
        let wanted = Wanted { subdirectories: self.subdirectories, columns: &self.partition_columns, pruning };
        let mut found: Vec<Found> = vec![];
        for location in &self.locations {
            let store = state.runtime_env().object_store(location.store_url().map_err(external)?)?;
            let files = listing::files(&store, location, &wanted).await.map_err(external)?;
            let mut files = files.try_filter(|file| {
                let one = !location.is_pattern() && file.meta.location == *location.path();
                std::future::ready(one || self.names.include(&file.relative))
            });
            let first = found.len();
            while let Some(file) = files.next().await {
                let file = file.map_err(external)?;
                if file.aside {
                    return Err(external(left_out(location, &file.relative)));
                }
                found.push(file);
            }
            let listed = self.stores.check_listed(location, &found[first..], |file: &Found| &file.meta.location);
            listed.await.map_err(external)?;
        }
        // Places may overlap; and the same files must always come in the same order.
        found.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        found.dedup_by(|a, b| a.meta.location == b.meta.location);
        Ok(found)
    }

    /// Its store, and what else tells which files are found: the same path twice in a statement means the same files.
    fn listed_as(&self, pruning: &[Pruning]) -> (String, String) {
        let store = self.locations.first().map_or("", Location::store).to_owned();
        let places: Vec<String> = self.locations.iter().map(Location::url).collect();
        let (subdirectories, names, columns) = (self.subdirectories, &self.names, &self.partition_columns);
        (store, format!("{places:?} {subdirectories} {names:?} {columns:?} {pruning:?}"))
    }

    /// The files with their statistics, as many as a limit needs; and whether some were left out.
    async fn files(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        found: &[Found],
        limit: Option<usize>,
    ) -> Result<(Vec<PartitionedFile>, bool)> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let collect = state.config().collect_statistics();
        // Made as they are needed: there may be a million.
        let with_statistics = move |index: usize| -> BoxFuture<'_, Result<PartitionedFile>> {
            let found = &found[index];
            let (meta, values) = (found.meta.clone(), found.values.clone());
            let of_one = async move {
                let statistics = match collect {
                    true => {
                        statistics::of_file(state, store, &self.format, &self.file_schema, &self.fingerprint, &meta)
                            .await
                            .map_err(|error| self.named(&meta.location, &error))?
                    }
                    false => Arc::new(Statistics::new_unknown(&self.file_schema)),
                };
                let mut file = PartitionedFile::new_from_meta(meta);
                file.partition_values = values;
                Ok::<_, DataFusionError>(file.with_statistics(statistics))
            };
            of_one.boxed()
        };
        let mut coming = stream::iter((0..found.len()).map(with_statistics)).buffered(at_once);
        let (mut files, mut rows) = (vec![], Precision::Exact(0));
        while let Some(file) = coming.try_next().await? {
            rows = match &file.statistics {
                Some(statistics) => rows.add(&statistics.num_rows),
                None => Precision::Absent,
            };
            files.push(file);
            if let (Some(limit), Precision::Exact(rows)) = (limit, rows)
                && rows > limit
            {
                break;
            }
        }
        let left_out = files.len() < found.len();
        Ok((files, left_out))
    }

    async fn row_groups(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        file: &PartitionedFile,
    ) -> Result<Vec<u64>> {
        let found = statistics::row_groups(state, store, &file.object_meta).await;
        found.map_err(|error| self.named(&file.object_meta.location, &error))
    }

    /// An error that says which file it is about.
    fn named(&self, file: &object_store::path::Path, error: &DataFusionError) -> DataFusionError {
        let error = classify(error);
        let name = file_name(self.locations.first().map_or("", Location::store), file);
        external(if error.message.contains(&name) { error } else { error.context(name) })
    }

    async fn groups(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        files: Vec<PartitionedFile>,
    ) -> Result<Vec<FileGroup>> {
        let shares = state.config().target_partitions().max(1);
        if !self.order.is_empty() {
            return Ok(FileGroup::new(files).split_files(shares));
        }
        let optimizer = &state.config_options().optimizer;
        let smallest = optimizer.repartition_file_min_size as u64;
        let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
        let cuts = format::cuts(&self.format);
        let parquet = format::is_parquet(&self.format);
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let with_cuts = files.into_iter().map(|file| -> BoxFuture<'_, Result<(PartitionedFile, Cuts)>> {
            let cuts = cuts.clone();
            let of_one = async move {
                let large = file.object_meta.size > smallest.max(total / (shares as u64 * 8));
                let cuts = match parquet && large {
                    true => Cuts::Before(self.row_groups(state, store, &file).await?),
                    false => cuts,
                };
                Ok::<_, DataFusionError>((file, cuts))
            };
            of_one.boxed()
        });
        let with_cuts: Vec<_> = stream::iter(with_cuts).buffered(at_once).try_collect().await?;
        Ok(share_out(with_cuts, shares, smallest))
    }

    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let nothing = || -> Result<Arc<dyn ExecutionPlan>> {
            Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection.as_ref())?)))
        };
        let Some(first) = self.locations.first() else { return nothing() };
        let store_url = first.store_url().map_err(external)?;
        let store = state.runtime_env().object_store(&store_url)?;
        let found = self.found(state, filters).await?;
        let all_by_partition = filters.iter().all(|filter| self.by_partition(filter));
        let (files, left_out) = self.files(state, &store, &found, limit.filter(|_| all_by_partition)).await?;
        if files.is_empty() {
            return nothing();
        }
        // Of whole files: each part of a file carries the statistics of the whole.
        let (mut all, statistics) = compute_all_files_statistics(
            vec![FileGroup::new(files)],
            Arc::clone(&self.schema),
            state.config().collect_statistics(),
            left_out,
        )?;
        let files = all.pop().map(FileGroup::into_inner).unwrap_or_default();
        let groups = self.groups(state, &store, files).await?;
        let ordering: Vec<LexOrdering> = create_lex_ordering(&self.schema, &self.order, state.execution_props())?;
        let columns: Vec<_> = self.partition_columns.iter().map(|column| Arc::new(column.field())).collect();
        let schema = TableSchemaBuilder::from(&self.file_schema).with_table_partition_cols(columns).build();
        let config = FileScanConfigBuilder::new(store_url, self.format.file_source(schema))
            .with_file_groups(groups)
            .with_constraints(self.constraints.clone())
            .with_statistics(statistics)
            .with_projection_indices(projection)?
            .with_limit(limit)
            .with_output_ordering(ordering)
            .build();
        self.format.create_physical_plan(state, config).await
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.defaults.get(column)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.plan(state, projection.cloned(), filters, limit).await
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        let projection = args.projection().map(<[usize]>::to_vec);
        let plan = self.plan(state, projection, args.filters().unwrap_or_default(), args.limit()).await?;
        Ok(ScanResult::new(plan))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let kind = |filter: &&Expr| match self.by_partition(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(kind).collect())
    }
}

/// A filter whose columns are named without their table.
pub(super) fn without_qualifiers(filter: Expr) -> Result<Expr> {
    let bare = filter.transform_up(|expr| match expr {
        Expr::Column(column) if column.relation.is_some() => {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(bare.data)
}

/// By store and the rest of what was looked for; each sorted by path.
type Listings = BTreeMap<(String, String), Arc<Vec<Found>>>;

/// The files that one statement has found. It is planned more than once, and must mean the same files each time.
#[derive(Debug, Default)]
pub struct Snapshot {
    found: Mutex<Listings>,
}

impl Snapshot {
    fn get(&self, key: &(String, String)) -> Option<Arc<Vec<Found>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// An error if one of the files has become another since the same statement found it elsewhere.
    fn put(&self, key: (String, String), found: &Arc<Vec<Found>>) -> windrow_common::Result<()> {
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, before) in all.iter().filter(|((store, _), _)| *store == key.0) {
            let mut before = before.iter().peekable();
            for file in found.iter() {
                while before.next_if(|other| other.meta.location < file.meta.location).is_some() {}
                let same = before.peek().filter(|other| other.meta.location == file.meta.location);
                // The stamp: listings and answers about single files write tags differently.
                if same.is_some_and(|other| other.meta.last_modified != file.meta.last_modified) {
                    let name = file_name(&key.0, &file.meta.location);
                    return Err(windrow_common::Error::user(format!(
                        "{name} has changed while the statement was planned; run the statement again"
                    )));
                }
            }
        }
        all.insert(key, Arc::clone(found));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::execution::object_store::ObjectStoreRegistry;
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::prelude::{col, lit};
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
    };

    use super::*;
    use crate::files::{FilesRequest, files_table};

    /// A store in which a write to both partitions of a table is published when the second one is listed first.
    #[derive(Debug, Default)]
    struct Published {
        inner: InMemory,
        done: AtomicBool,
    }

    impl Published {
        fn put_now(&self, file: &str) {
            self.inner.put(&Path::from(file), "1\n".into()).now_or_never().unwrap().unwrap();
        }
    }

    impl fmt::Display for Published {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Published")
        }
    }

    #[async_trait]
    impl ObjectStore for Published {
        async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
            self.inner.put_opts(location, payload, opts).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: PutMultipartOptions,
        ) -> StoreResult<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(location, opts).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
            self.inner.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, StoreResult<Path>>,
        ) -> BoxStream<'static, StoreResult<Path>> {
            self.inner.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
            let second = prefix.is_some_and(|prefix| prefix.as_ref() == "t/y=2");
            if second && !self.done.swap(true, Ordering::SeqCst) {
                let sequence = "t/_windrow/00000000000000000001";
                for file in ["t/y=1/new.csv", "t/y=2/new.csv"] {
                    self.put_now(file);
                }
                self.put_now(&format!("{sequence}.manifest"));
                self.put_now(&format!("{sequence}-w.published"));
            }
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_write_that_is_published_between_two_partitions_is_seen_in_both() {
        let store = Published::default();
        store.put_now("t/y=1/a.csv");
        store.put_now("t/y=2/b.csv");
        let stores = Arc::new(Stores::default());
        stores.register_store(&url::Url::parse("s3://b").unwrap(), Arc::new(store));
        let runtime = crate::session::storage::runtime_builder(Arc::clone(&stores) as _).build_arc().unwrap();
        let state = SessionStateBuilder::new().with_runtime_env(runtime).with_default_features().build();
        let columns = ["a", "y"].map(|name| Field::new(name, DataType::Int64, true)).to_vec();
        let request = FilesRequest {
            locations: vec![Location::parse("s3://b/t/", std::path::Path::new("/")).unwrap()],
            stores,
            format: Some("CSV".to_owned()),
            schema: Some(Arc::new(Schema::new(columns))),
            partition_columns: Some(vec!["y".to_owned()]),
            ..FilesRequest::default()
        };
        let table = files_table(&state, request).await.unwrap();
        let found = table.found(&state, &[col("y").gt_eq(lit(1_i64))]).await.unwrap();
        let names: Vec<&str> = found.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(names, ["y=1/a.csv", "y=1/new.csv", "y=2/b.csv", "y=2/new.csv"]);
    }

    fn found(store: &str, files: &[(&str, &str)]) -> Arc<Vec<Found>> {
        let meta = |path: &str, tag: &str| object_store::ObjectMeta {
            location: path.into(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: Some(tag.to_owned()),
            version: None,
        };
        let found = files.iter().map(|(path, tag)| Found {
            meta: crate::stores::stamped(store, meta(path, tag)),
            relative: (*path).to_owned(),
            values: vec![],
            aside: false,
        });
        Arc::new(found.collect())
    }

    #[test]
    fn a_statement_never_means_two_states_of_one_file() {
        let snapshot = Snapshot::default();
        let put = |store: &str, key: &str, files: &[(&str, &str)]| {
            snapshot.put((store.to_owned(), key.to_owned()), &found(store, files))
        };
        put("s3://b", "first", &[("a", "1"), ("c", "1"), ("d", "1")]).unwrap();
        put("s3://b", "second", &[("b", "7"), ("c", "\"1\""), ("e", "1")]).unwrap();
        put("s3://other", "first", &[("c", "2")]).unwrap();
        let error = put("s3://b", "third", &[("a", "1"), ("b", "7"), ("d", "2")]).unwrap_err();
        assert!(error.message.contains("s3://b/d has changed while the statement was planned"), "{error}");
        assert!(snapshot.get(&("s3://b".to_owned(), "third".to_owned())).is_none());
    }
}
