//! Requests that are not signed, or not by whom they should be, are refused: so what is answered was signed.

use axum::http::Method;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload};
use windrow_stores_testing::{AzureServer, Config, GcsServer, S3Server};

use crate::clients::{azure, gcs, retries, s3, s3_builder};
use crate::plain::ask;

async fn refusal(builder: AmazonS3Builder) -> String {
    let store = builder.with_retry(retries(0)).build().unwrap();
    store.put(&Path::from("x"), "x".into()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn s3_knows_who_signs() {
    let server = S3Server::start(Config::default()).unwrap();
    let wrong = refusal(s3_builder(&server).with_secret_access_key("wrong")).await;
    assert!(wrong.contains("SignatureDoesNotMatch") && wrong.contains("403"), "{wrong}");
    let unknown = refusal(s3_builder(&server).with_access_key_id("NOBODY")).await;
    assert!(unknown.contains("InvalidAccessKeyId"), "{unknown}");
    let missing = refusal(s3_builder(&server).with_skip_signature(true)).await;
    assert!(missing.contains("AccessDenied") && missing.contains("403"), "{missing}");
    let token = refusal(s3_builder(&server).with_token("none was wanted")).await;
    assert!(token.contains("InvalidToken"), "{token}");
    assert!(server.keys().is_empty());
    // Neither the payload's hash nor its absence is in the way.
    for sign in [true, false] {
        let store = s3_builder(&server).with_unsigned_payload(!sign).build().unwrap();
        store.put(&Path::from("x"), PutPayload::from(vec![7; 100])).await.unwrap();
    }
}

#[tokio::test]
async fn s3_wants_the_session_token_that_it_was_told() {
    let server = S3Server::start(Config::default().session_token("today")).unwrap();
    assert!(refusal(s3_builder(&server)).await.contains("InvalidToken"));
    let store = s3_builder(&server).with_token("today").build().unwrap();
    store.put(&Path::from("x"), "x".into()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_look_lets_everybody_in() {
    let server = S3Server::start(Config::default().unsigned()).unwrap();
    s3_builder(&server).with_skip_signature(true).build().unwrap().put(&Path::from("x"), "x".into()).await.unwrap();
    s3_builder(&server).with_secret_access_key("wrong").build().unwrap().head(&Path::from("x")).await.unwrap();
}

/// A request that was signed is changed on its way.
#[tokio::test]
async fn what_was_signed_cannot_be_changed() {
    let server = S3Server::start(Config::default()).unwrap();
    server.put("signed", "contents");
    server.put("other", "contents");
    let minute = std::time::Duration::from_secs(60);
    let signed = s3(&server, 0).signed_url(Method::GET, &Path::from("signed"), minute).await.unwrap().to_string();
    let path = signed.strip_prefix(&server.url()).unwrap();
    assert!(ask(&server.url(), "GET", path, "").starts_with("HTTP/1.1 200 "), "{path}");
    let changed = path.replace("/signed?", "/other?");
    assert!(ask(&server.url(), "GET", &changed, "").contains("SignatureDoesNotMatch"));
    assert!(ask(&server.url(), "HEAD", path, "").starts_with("HTTP/1.1 403 "));
    let longer = path.replace("X-Amz-Expires=60", "X-Amz-Expires=6000");
    assert!(ask(&server.url(), "GET", &longer, "").contains("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn azure_knows_who_signs() {
    let server = AzureServer::start().unwrap();
    server.put("x", "x");
    azure(&server, server.access_key()).head(&Path::from("x")).await.unwrap();
    let error = azure(&server, "d3Jvbmc=").head(&Path::from("x")).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
    assert!(ask(&server.url(), "GET", "/devstoreaccount1/windrow/x", "").starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn gcs_knows_who_signs() {
    let server = GcsServer::start().unwrap();
    server.put("x", "x");
    gcs(&server).head(&Path::from("x")).await.unwrap();
    // Tokens of somebody else, with a key that is not the one of the account, cannot be had without another key; so the
    // name of the account is changed, and the token left out.
    let stranger = server.service_account().replace("windrow@test.invalid", "stranger@test.invalid");
    let unsigned = server.service_account().replace("\"disable_oauth\":false", "\"disable_oauth\":true");
    for account in [stranger, unsigned] {
        let store = GoogleCloudStorageBuilder::new()
            .with_service_account_key(account)
            .with_bucket_name(server.bucket())
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retries(0))
            .build()
            .unwrap();
        let error = store.get_opts(&Path::from("x"), Default::default()).await.unwrap_err();
        assert!(matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }), "{error}");
    }
    let forged = "authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ3aW5kcm93QHRlc3QuaW52YWxpZCJ9.AAAA\r\n";
    assert!(ask(&server.url(), "GET", "/windrow/x", forged).starts_with("HTTP/1.1 401 "));
}
