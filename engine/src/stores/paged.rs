//! Listings page by page. The clients try a request again until its answer begins; a page that breaks off in its body is
//! asked for again here, and the listing goes on where it was: nothing comes twice, and nothing is left out.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::client::HttpError;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::{DELIMITER, Path};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use windrow_common::limits;
use windrow_common::time::Clock;

/// A store whose listings survive broken pages.
#[derive(Debug)]
pub(super) struct Paged<S>(pub(super) Arc<S>);

impl<S: fmt::Display> fmt::Display for Paged<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether an answer broke off. Answers that refuse have another cause.
fn broke_off(error: &Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source()).any(|error| error.is::<HttpError>())
}

/// One page.
async fn page<S: PaginatedListStore>(
    store: &S,
    prefix: Option<&str>,
    delimiter: bool,
    page_token: Option<String>,
) -> Result<PaginatedListResult> {
    let clock = Clock::start();
    let begun = clock.now();
    let mut tries = 0;
    loop {
        let options = PaginatedListOptions {
            delimiter: delimiter.then_some(DELIMITER.into()),
            page_token: page_token.clone(),
            ..PaginatedListOptions::default()
        };
        match store.list_paginated(prefix, options).await {
            // A store that does not answer at all has been asked often enough by then.
            Err(error)
                if broke_off(&error)
                    && tries < limits::STORE_PAGE_RETRIES
                    && clock.now().since(begun) < limits::STORE_RETRY_TIMEOUT =>
            {
                tokio::time::sleep(limits::STORE_BACKOFF * 2u32.pow(tries)).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// The pages below a prefix, one after the other.
fn pages<S: PaginatedListStore>(
    store: Arc<S>,
    prefix: Option<&Path>,
    delimiter: bool,
) -> BoxStream<'static, Result<ListResult>> {
    let prefix = prefix.filter(|prefix| !prefix.as_ref().is_empty()).map(|prefix| format!("{prefix}{DELIMITER}"));
    let first: Option<Option<String>> = Some(None);
    stream::try_unfold(first, move |token| {
        let (store, prefix) = (Arc::clone(&store), prefix.clone());
        async move {
            let Some(token) = token else { return Ok(None) };
            let page = page(store.as_ref(), prefix.as_deref(), delimiter, token).await?;
            let next = page.page_token.filter(|token| !token.is_empty()).map(Some);
            Ok(Some((page.result, next)))
        }
    })
    .boxed()
}

#[async_trait]
impl<S: ObjectStore + PaginatedListStore> ObjectStore for Paged<S> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = pages(Arc::clone(&self.0), prefix, false);
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |file| std::future::ready(file.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut pages = pages(Arc::clone(&self.0), prefix, true);
        let (mut directories, mut objects) = (BTreeSet::new(), vec![]);
        while let Some(page) = pages.try_next().await? {
            directories.extend(page.common_prefixes);
            objects.extend(page.objects);
        }
        Ok(ListResult { common_prefixes: directories.into_iter().collect(), objects })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use object_store::client::HttpErrorKind;

    use super::*;

    /// A store that lists one file a page, and whose pages break off before they come.
    #[derive(Debug)]
    struct Breaking {
        files: Vec<&'static str>,
        /// How often the page of each token breaks.
        breaks: u32,
        /// Whether that is not a matter of the connection.
        refuses: bool,
        asked: Mutex<Vec<Option<String>>>,
    }

    #[async_trait]
    impl PaginatedListStore for Breaking {
        async fn list_paginated(
            &self,
            prefix: Option<&str>,
            options: PaginatedListOptions,
        ) -> Result<PaginatedListResult> {
            assert_eq!(prefix, Some("t/"));
            let before = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(options.page_token.clone());
                asked.iter().filter(|token| **token == options.page_token).count()
            };
            if before <= self.breaks as usize {
                let cause = std::io::Error::other("cut");
                let source: Box<dyn std::error::Error + Send + Sync> = match self.refuses {
                    true => Box::new(cause),
                    false => Box::new(HttpError::new(HttpErrorKind::Interrupted, cause)),
                };
                return Err(Error::Generic { store: "test", source });
            }
            let index: usize = options.page_token.map_or(0, |token| token.parse().unwrap());
            let meta = ObjectMeta {
                location: Path::from(self.files[index]),
                last_modified: chrono::DateTime::UNIX_EPOCH,
                size: 1,
                e_tag: None,
                version: None,
            };
            let result = ListResult { common_prefixes: vec![Path::from("t/d")], objects: vec![meta] };
            let page_token = (index + 1 < self.files.len()).then(|| (index + 1).to_string());
            Ok(PaginatedListResult { result, page_token })
        }
    }

    async fn listed(breaks: u32, refuses: bool, delimiter: bool) -> (Result<Vec<String>>, usize) {
        let files = vec!["t/b", "t/a", "t/c"];
        let store = Arc::new(Breaking { files, breaks, refuses, asked: Mutex::default() });
        let pages: Result<Vec<ListResult>> =
            pages(Arc::clone(&store), Some(&Path::from("t")), delimiter).try_collect().await;
        let names = |pages: Vec<ListResult>| {
            pages.iter().flat_map(|page| &page.objects).map(|file| file.location.to_string()).collect()
        };
        let asked = store.asked.lock().unwrap().len();
        (pages.map(names), asked)
    }

    #[tokio::test]
    async fn a_page_that_breaks_off_is_asked_for_again() {
        for delimiter in [false, true] {
            let (files, asked) = listed(1, false, delimiter).await;
            assert_eq!((files.unwrap().join(" "), asked), ("t/b t/a t/c".to_owned(), 6));
        }
        let (files, asked) = listed(u32::MAX, false, false).await;
        assert!(files.is_err());
        assert_eq!(asked, limits::STORE_PAGE_RETRIES as usize + 1);
        let (files, asked) = listed(1, true, false).await;
        assert!(files.is_err());
        assert_eq!(asked, 1, "what is refused is not asked for again");
    }
}
