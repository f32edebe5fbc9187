//! Uploads in parts where clients see more than success: what S3 refuses, and what is left of uploads.

use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use windrow_stores_testing::{Config, S3Server};

use crate::clients::s3;
use crate::plain::ask;

#[tokio::test]
async fn parts_that_are_not_the_last_must_be_large() {
    let server = S3Server::start(Config::default()).unwrap();
    let (store, path) = (s3(&server, 0), Path::from("small"));
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part(PutPayload::from(vec![0; (5 << 20) - 1])).await.unwrap();
    upload.put_part("last".into()).await.unwrap();
    let error = upload.complete().await.unwrap_err().to_string();
    assert!(error.contains("EntityTooSmall"), "{error}");
    assert_eq!(server.uploads().len(), 1);
    upload.abort().await.unwrap();
    assert!(server.uploads().is_empty() && server.keys().is_empty());

    let small = S3Server::start(Config::default().least_part(1)).unwrap();
    let mut upload = s3(&small, 0).put_multipart(&path).await.unwrap();
    for _ in 0..3 {
        upload.put_part("ab".into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    assert_eq!(small.get("small").unwrap(), "ababab");
}

#[tokio::test]
async fn an_upload_that_is_completed_or_given_up_is_unknown() {
    let server = S3Server::start(Config::default()).unwrap();
    let (store, path) = (s3(&server, 0), Path::from("once"));
    let id = store.create_multipart(&path).await.unwrap();
    assert_eq!(server.uploads(), [("once".to_owned(), id.clone())]);
    let part = store.put_part(&path, &id, 0, "x".into()).await.unwrap();
    let wrong = PartId { content_id: "no such tag".into() };
    let error = store.complete_multipart(&path, &id, vec![wrong]).await.unwrap_err().to_string();
    assert!(error.contains("InvalidPart"), "{error}");
    store.complete_multipart(&path, &id, vec![part.clone()]).await.unwrap();
    let again = store.complete_multipart(&path, &id, vec![part]).await.unwrap_err().to_string();
    assert!(again.contains("NoSuchUpload"), "{again}");
    let late = store.put_part(&path, &id, 1, "y".into()).await.unwrap_err().to_string();
    assert!(late.contains("NoSuchUpload"), "{late}");
    let abort = store.abort_multipart(&path, &id).await.unwrap_err().to_string();
    assert!(abort.contains("NoSuchUpload"), "{abort}");
    assert_eq!(server.get("once").unwrap(), "x");
}

#[tokio::test]
async fn uploads_are_listed_page_by_page() {
    let server = S3Server::start(Config::default().unsigned()).unwrap();
    let store = s3(&server, 0);
    for key in ["a", "b/1", "b/1", "b/2"] {
        store.create_multipart(&Path::from(key)).await.unwrap();
    }
    let uploads = server.uploads();
    let page = |query: &str| {
        let answer = ask(&server.url(), "GET", &format!("/windrow?uploads{query}"), "");
        (answer.matches("<Upload>").count(), answer.contains("<IsTruncated>true"))
    };
    assert_eq!(page(""), (4, false));
    assert_eq!(page("&prefix=b/"), (3, false));
    assert_eq!(page("&max-uploads=2"), (2, true));
    let (key, id) = &uploads[1];
    assert_eq!(page(&format!("&key-marker={key}&upload-id-marker={id}")), (2, false));
    assert_eq!(page("&key-marker=b/1"), (1, false));
}
