//! What a server has seen of a request, in words that are the same for every protocol.

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// An object or a part of it.
    Get,
    /// What is known of an object.
    Head,
    /// A whole object.
    Put,
    /// To delete an object.
    Delete,
    /// To delete many objects.
    DeleteMany,
    /// A page of a listing.
    List,
    /// To copy an object.
    Copy,
    /// To begin an upload in parts.
    CreateUpload,
    /// A part of an upload; a block of a blob.
    UploadPart,
    /// To make an object of the parts; a list of blocks.
    CompleteUpload,
    /// To give an upload up.
    AbortUpload,
    /// Which uploads are not completed.
    ListUploads,
    /// Which parts an upload has.
    ListParts,
    /// Anything else: buckets, for example.
    Other,
}

/// One request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// What is asked for.
    pub operation: Operation,
    /// The method, `GET` for example.
    pub method: String,
    /// The bucket or container; empty where there is none.
    pub bucket: String,
    /// The key; empty for listings.
    pub key: String,
    /// The names and values of the query, decoded, in the order of the request.
    pub query: Vec<(String, String)>,
    /// The `Range` header.
    pub range: Option<String>,
}

impl Seen {
    /// Whether the query has this, `name` or `name=value`.
    pub fn has_query(&self, wanted: &str) -> bool {
        match wanted.split_once('=') {
            Some((name, value)) => self.query.iter().any(|(n, v)| n == name && v == value),
            None => self.query.iter().any(|(n, _)| n == wanted),
        }
    }
}
