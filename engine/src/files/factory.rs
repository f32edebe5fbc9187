//! Makes tables over files, for `CREATE EXTERNAL TABLE` and `FROM 'path'`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::session_state::SessionState;
use futures::stream::TryStreamExt;
use windrow_common::{Error, ErrorKind, Result};

use super::format;
use super::hive::{Inference, PartitionColumn};
use super::listing::{self, Found, Wanted};
use super::table::{FilesTable, Names, Parts};
use crate::error::classify;
use crate::formats::compression::Compression;
use crate::stores::{Location, Stores, file_name};

/// What a table over files is to be.
#[derive(Debug, Default)]
pub struct FilesRequest {
    /// Its places.
    pub locations: Vec<Location>,
    /// Say which files of these places may be read.
    pub stores: Arc<Stores>,
    /// The format, as STORED AS has it; none: the names of the files tell it.
    pub format: Option<String>,
    /// The options of the format.
    pub options: HashMap<String, String>,
    /// The declared columns, those of partitions among them.
    pub schema: Option<SchemaRef>,
    /// The names of the declared partition columns; none: the names of the directories tell them.
    pub partition_columns: Option<Vec<String>>,
    /// What the table is called in errors.
    pub name: String,
}

/// Makes a table over files: looks at what is there now, as far as that is not declared.
pub async fn files_table(state: &SessionState, request: FilesRequest) -> Result<FilesTable> {
    let subdirectories = !state.config_options().execution.listing_table_ignore_subdirectory;
    let (found, aside) = all_files(state, &request, subdirectories).await?;
    let declared = request.schema.as_ref().filter(|schema| !schema.fields().is_empty());
    if found.is_empty() && declared.is_none() {
        return Err(nothing_there(&request.locations, aside.first().map(|(_, file)| file.relative.as_str())));
    }
    let known = known_format(&request, &found)?;
    let options: BTreeMap<String, String> = known.options.into_iter().collect();
    let format = format::made(&known.name, &options)?;
    if let Some((place, file)) = aside.iter().find(|(_, file)| known.names.include(&file.relative)) {
        return Err(left_out(place, &file.relative));
    }
    let files: Vec<&Found> =
        found.iter().filter(|file| is_named(&request, file) || known.names.include(&file.relative)).collect();
    let partition_columns = partition_columns(&request, declared, &files)?;
    let file_schema = match declared {
        Some(schema) => without(schema, &partition_columns),
        None => {
            let Some(first) = request.locations.first() else { return Err(Error::internal("a table without a place")) };
            let store_url = first.store_url()?;
            let store = state.runtime_env().object_store(&store_url).map_err(|e| classify(&e))?;
            let metas: Vec<_> = files.iter().map(|file| file.meta.clone()).collect();
            let inferred = format.infer_schema(state, &store, &metas).await.map_err(|e| classify(&e))?;
            without(&inferred, &partition_columns)
        }
    };
    Ok(FilesTable::new(Parts {
        locations: request.locations,
        stores: request.stores,
        subdirectories,
        names: known.names,
        format,
        format_name: known.name,
        options,
        file_schema,
        partition_columns,
    }))
}

/// All files of the request's places; and of those that lie aside, one of each kind of name, with its place.
async fn all_files(
    state: &SessionState,
    request: &FilesRequest,
    subdirectories: bool,
) -> Result<(Vec<Found>, Vec<(Location, Found)>)> {
    let locations = &request.locations;
    let (mut all, mut aside) = (vec![], vec![]);
    if let (Some(first), Some(other)) =
        (locations.first(), locations.iter().find(|other| other.store() != locations[0].store()))
    {
        let message =
            format!("'{first}' and '{other}' are in two stores; make a table over each, and a UNION ALL of them");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    for location in locations {
        let store = state.runtime_env().object_store(location.store_url()?).map_err(|e| classify(&e))?;
        let wanted = Wanted { subdirectories, ..Wanted::ALL };
        let mut files = listing::files(&store, location, &wanted).await?;
        let (mut here, mut kinds) = (vec![], vec![]);
        while let Some(file) = files.try_next().await? {
            let kind = format::of_path(&file.relative);
            match file.aside {
                false => here.push(file),
                true if kinds.contains(&kind) => {}
                true => {
                    kinds.push(kind);
                    aside.push((location.clone(), file));
                }
            }
        }
        request.stores.check_listed(location, &here, |file: &Found| &file.meta.location).await?;
        all.append(&mut here);
    }
    all.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    all.dedup_by(|a, b| a.meta.location == b.meta.location);
    Ok((all, aside))
}

/// A table that would leave out files of a directory.
pub(super) fn left_out(place: &Location, file: &str) -> Error {
    let shown = place.to_string();
    let directory = shown.trim_end_matches('/');
    let name = file.rsplit('/').next().unwrap_or_default();
    let extension = name.split_once('.').map(|(_, extension)| format!(".{extension}")).unwrap_or_default();
    Error::user(format!(
        "'{shown}' has files in directories that are no partitions, such as '{file}', which would be left out; name the \
         files that are meant with a pattern: '{directory}/**/*{extension}' for all, '{directory}/*{extension}' for those \
         in no such directory"
    ))
}

fn nothing_there(locations: &[Location], aside: Option<&str>) -> Error {
    let places: Vec<String> = locations.iter().map(|place| format!("'{place}'")).collect();
    let places = places.join(", ");
    let message = match (locations, aside) {
        (_, Some(file)) => format!(
            "the files in {places} lie in directories that are no partitions, such as '{file}'; a pattern like '**/*.parquet' names them"
        ),
        ([place], _) if place.is_pattern() => format!("no file matches {places}"),
        ([place], _) if place.is_local() && std::path::Path::new(&format!("/{}", place.path())).is_dir() => {
            format!("no data can be found in {places}: neither it nor its subdirectories have files")
        }
        _ => format!("there is no file or directory {places}"),
    };
    Error::new(ErrorKind::NotFound, message)
}

struct Known {
    name: String,
    options: HashMap<String, String>,
    names: Names,
}

/// The format that was named, or that the names of the files tell; and which files of a directory it means.
fn known_format(request: &FilesRequest, found: &[Found]) -> Result<Known> {
    let mut options = request.options.clone();
    let told = || found.iter().find_map(|file| Some((file, format::of_path(&file.relative)?)));
    let Some(name) = &request.format else {
        let Some((_, (name, compression))) = told() else { return Err(unknown_format(request, found)) };
        if compression != Compression::None {
            options.insert("compression".to_owned(), compression.name().to_owned());
        }
        let pattern = request.locations.iter().any(Location::is_pattern);
        for file in found.iter().filter(|file| !is_named(request, file)) {
            match format::of_path(&file.relative) {
                Some(other) if other != (name, compression) => return Err(two_formats(request, &file.relative, name)),
                // Whatever else lies in a directory is no data; but a pattern means each file that fits it.
                None if pattern => return Err(two_formats(request, &file.relative, name)),
                _ => {}
            }
        }
        return Ok(Known { name: name.to_owned(), options, names: Names::Of(name, compression) });
    };
    let said = options.iter().find(|(key, _)| key.to_ascii_lowercase().trim_start_matches("format.") == "compression");
    let said = said.and_then(|(_, value)| Compression::by_name(value));
    let ours = |file: &Found| {
        let (told, compression) = format::of_path(&file.relative)?;
        let fits = format::means(name, told) && said.is_none_or(|said| said == compression);
        fits.then_some((told, compression))
    };
    let directory = !request.locations.iter().any(Location::is_pattern);
    let Some((told, compression)) = found.iter().find_map(ours) else {
        return Ok(Known { name: name.clone(), options, names: Names::All });
    };
    if let Some(other) = found.iter().filter_map(|f| Some((f, ours(f)?))).find(|(_, of)| *of != (told, compression)) {
        return Err(two_formats(request, &other.0.relative, name));
    }
    if compression != Compression::None && said.is_none() {
        options.insert("compression".to_owned(), compression.name().to_owned());
    }
    let names = if directory { Names::Of(told, compression) } else { Names::All };
    Ok(Known { name: name.clone(), options, names })
}

/// Whether the statement names this very file.
fn is_named(request: &FilesRequest, file: &Found) -> bool {
    request.locations.iter().any(|place| !place.is_pattern() && *place.path() == file.meta.location)
}

fn unknown_format(request: &FilesRequest, found: &[Found]) -> Error {
    let store = request.locations.first().map_or("", Location::store);
    let file = found.first().map(|file| file_name(store, &file.meta.location)).unwrap_or_default();
    Error::user(format!(
        "the name of '{file}' does not tell its format; say it with CREATE EXTERNAL TABLE … STORED AS … LOCATION …"
    ))
}

fn two_formats(request: &FilesRequest, file: &str, name: &str) -> Error {
    let place = request.locations.first().map(ToString::to_string).unwrap_or_default();
    Error::user(format!(
        "'{place}' has files of several formats: '{file}' beside {name} files of another name; name those of one kind with a \
         pattern, or say the format with CREATE EXTERNAL TABLE … STORED AS … LOCATION …"
    ))
}

fn partition_columns(
    request: &FilesRequest,
    declared: Option<&SchemaRef>,
    files: &[&Found],
) -> Result<Vec<PartitionColumn>> {
    let inferred = || {
        let mut inference = Inference::default();
        for (index, file) in files.iter().filter(|file| !is_named(request, file)).enumerate() {
            inference.see(&file.relative, index == 0)?;
        }
        Ok::<_, Error>(inference.columns())
    };
    let names = match (&request.partition_columns, declared) {
        (Some(names), _) => names,
        // Declared columns say all there is.
        (None, Some(_)) => return Ok(vec![]),
        // A pattern may mean files of several partitionings: then these are no columns.
        (None, None) if request.locations.iter().any(Location::is_pattern) => return Ok(inferred().unwrap_or_default()),
        (None, None) => return inferred(),
    };
    if names.is_empty() {
        return Ok(vec![]);
    }
    let known = inferred().unwrap_or_default();
    let column = |name: &String| {
        let declared = declared.and_then(|schema| schema.field_with_name(name).ok().cloned());
        let data_type = match (declared, known.iter().find(|column| column.name == *name)) {
            (Some(field), _) => field.data_type().clone(),
            (None, Some(column)) => column.data_type.clone(),
            (None, None) => datafusion::arrow::datatypes::DataType::Utf8,
        };
        PartitionColumn { name: name.clone(), data_type }
    };
    Ok(names.iter().map(column).collect())
}

fn without(schema: &SchemaRef, columns: &[PartitionColumn]) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .filter(|field| !columns.iter().any(|column| column.name == *field.name()))
        .cloned()
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
