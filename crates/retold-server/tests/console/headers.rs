//! What keeps a page from being more than a page, and an asset from being fetched twice.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{Method, Request, StatusCode};

use crate::{ask, get, open, start};

#[tokio::test]
async fn every_answer_is_guarded() {
    let (retold, service) = open().await;
    start(&retold, "42").await;
    let list = get(&service, "/").await.body;
    let module = list
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for address in [
        "/",
        "/?type=1",
        "/streams/Issue/42",
        "/streams/Issue/none",
        "/streams/Issue/%FF",
        "/events/none",
        "/correlations/none",
        "/assets/console.css",
        "/assets/none",
        "/nowhere",
        module,
    ] {
        let answer = get(&service, address).await;
        let header = |name: &str| answer.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(
            header(CONTENT_SECURITY_POLICY.as_str()),
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "{address}"
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert!(
            header(CONTENT_TYPE.as_str()).ends_with("charset=utf-8"),
            "{address}"
        );
        for inline in ["style=\"", "<style", "onclick", "<script>"] {
            assert!(
                !answer.body.contains(inline) || address.contains("assets"),
                "{address}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_changes_by_reading_and_pages_take_nothing_else() {
    let (retold, service) = open().await;
    start(&retold, "42").await;
    let head = retold.store().head().await.unwrap();
    for address in ["/", "/streams/Issue/42", "/assets/console.css"] {
        get(&service, address).await;
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let request = Request::builder().method(method).uri(address);
            let answer = ask(&service, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    assert_eq!(retold.store().head().await.unwrap(), head);
}

#[tokio::test]
async fn assets_are_kept_until_they_change() {
    let (_retold, service) = open().await;
    let page = get(&service, "/").await.body;
    for name in ["console.css", "console.js", "icon.svg"] {
        let versioned = format!("/assets/{name}?v=");
        let rest = page
            .split(&versioned)
            .nth(1)
            .expect("a page names its assets");
        let version = rest.split('"').next().unwrap();
        let answer = get(&service, &format!("{versioned}{version}")).await;
        assert_eq!(
            answer.headers[CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        let tag = &answer.headers[ETAG];
        assert_eq!(tag, &format!("\"{version}\""));

        let other = get(&service, &format!("{versioned}other")).await;
        assert_eq!(other.headers[CACHE_CONTROL], "public, no-cache");
        let again = Request::get(format!("/assets/{name}")).header("if-none-match", tag);
        let again = ask(&service, again.body(Body::empty()).unwrap()).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert_eq!(again.body, "");
    }
}
