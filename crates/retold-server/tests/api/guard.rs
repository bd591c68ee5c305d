//! Whom the service answers.

use axum::body::Body;
use axum::http::Method;
use retold_server::{App, Options, router};

use crate::support::{Service, request, service};

#[tokio::test]
async fn only_loopback_names_are_served() {
    let service = service().await;
    let get = async |service: &Service, host: &str| {
        let request = request(Method::GET, "/v1/info", &[("host", host)], Body::empty());
        service.send(request).await
    };
    for host in [
        "localhost",
        "LOCALHOST:7878",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]",
        "[::1]:80",
    ] {
        get(&service, host).await.expect(200);
    }
    let others = [
        "example.com",
        "localhost.example.com",
        "127.0.0.1.nip.io",
        "192.168.0.1",
        "[::2]",
        "user@localhost",
        "",
        "2130706433",
        "localhost, example.com",
    ];
    for host in others {
        let problem = get(&service, host).await;
        assert_eq!(problem.problem(403, "forbidden")["field"], "Host", "{host}");
    }
    let target = request(
        Method::GET,
        "http://example.com/v1/info",
        &[],
        Body::empty(),
    );
    service.send(target).await.problem(403, "forbidden");

    let mut options = Options::default();
    options.insecure = true;
    let open = Service {
        router: router(App::new(service.retold.clone(), options)),
        retold: service.retold,
    };
    get(&open, "example.com").await.expect(200);
}

#[tokio::test]
async fn writes_of_other_sites_are_refused_whatever_their_media_type() {
    let service = service().await;
    let path = "/v1/streams/Note/1/events";
    let send = async |method: Method, headers: &[(&str, &str)]| {
        let mut all = vec![
            ("host", "localhost:7878"),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        let body = Body::from(r#"{"eventType":"t","payload":1}"#);
        service.send(request(method, path, &all, body)).await
    };
    for headers in [
        &[][..],
        &[("origin", "http://localhost:7878")],
        &[(
            "origin",
            "HTTP://localhost:7878".to_lowercase().leak() as &str,
        )],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ] {
        send(Method::POST, headers).await.expect(201);
    }
    for headers in [
        [("origin", "null")],
        [("origin", "http://example.com")],
        [("origin", "https://localhost:7878")],
        [("origin", "http://localhost")],
        [("origin", "http://localhost:7878.example.com")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "nonsense")],
    ] {
        let problem = send(Method::POST, &headers).await;
        let problem = problem.problem(403, "forbidden");
        let field = problem["field"].as_str().unwrap();
        assert!(field.eq_ignore_ascii_case(headers[0].0));
        send(Method::DELETE, &headers)
            .await
            .problem(403, "forbidden");
        // Reads are served, and the site comes before the media type.
        let read = request(Method::GET, path, &headers, Body::empty());
        service.send(read).await.expect(200);
        let mut plain = headers.to_vec();
        plain.push(("content-type", "text/plain"));
        let plain = request(Method::POST, path, &plain, Body::from("x"));
        service.send(plain).await.problem(403, "forbidden");
    }
    let default_port = [("host", "localhost:80"), ("origin", "http://localhost")];
    let request = request(Method::POST, path, &default_port, Body::from("x"));
    service
        .send(request)
        .await
        .problem(415, "unsupported_media_type");
}
