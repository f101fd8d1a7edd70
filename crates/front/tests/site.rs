//! The website that everybody without a key meets, as real programs see it.

mod common;

use std::path::Path;

use common::{NAME, Wearer, text, wear};
use front::{NoRooms, Site};

/// A site with a few files.
async fn files() -> Wearer {
    wear(NoRooms, |settings, home| {
        let root = home.join("site");
        let write = |name: &str, bytes: &[u8]| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(path, bytes).expect("written");
        };
        write("index.html", b"<h1>home</h1>");
        write("404.html", b"<h1>lost</h1>");
        write("large.html", "<p>жарық</p>".repeat(2000).as_bytes());
        write("video.mp4", &(0..=255).cycle().take(1 << 20).collect::<Vec<u8>>());
        write("packed.js", b"let long = 1;");
        write("packed.js.gz", b"(gzip)");
        write(".env", b"secret");
        write(".well-known/security.txt", b"Contact: us");
        write("deep/index.html", b"deep");
        write("a b/ж.txt", b"named");
        std::fs::write(home.join("secret"), b"secret").expect("written");
        std::os::unix::fs::symlink("../secret", root.join("out")).expect("linked");
        settings.site = Site::Directory(root);
    })
    .await
}

#[tokio::test]
async fn a_bare_server_shows_that_nothing_is_there_and_names_no_product() {
    let wearer = wear(NoRooms, |_, _| {}).await;
    for arguments in [&["--http1.1"][..], &["--http2"], &["-I"], &["-X", "POST", "-d", "x"]] {
        for path in ["/", "/index.html", "/../../etc/passwd"] {
            let visit = wearer.curl(arguments, path).await;
            assert_eq!(visit.status(), "404", "{visit:?}");
            assert!(
                visit.header("date").is_some() && visit.header("server").is_none(),
                "{visit:?}"
            );
            assert!(visit.body.is_empty());
        }
    }
}

#[tokio::test]
async fn files_are_served_with_their_types_over_both_versions_of_http() {
    let wearer = files().await;
    for version in ["--http1.1", "--http2"] {
        for (path, status, kind, body) in [
            ("/", "200", Some("text/html; charset=utf-8"), &b"<h1>home</h1>"[..]),
            ("/deep/", "200", Some("text/html; charset=utf-8"), b"deep"),
            ("/a%20b/%D0%B6.txt", "200", Some("text/plain; charset=utf-8"), b"named"),
            ("/.well-known/security.txt", "200", Some("text/plain; charset=utf-8"), b"Contact: us"),
            ("/packed.js?v=2", "200", Some("text/javascript; charset=utf-8"), b"let long = 1;"),
            ("/nothing", "404", Some("text/html; charset=utf-8"), b"<h1>lost</h1>"),
        ] {
            let visit = wearer.curl(&[version], path).await;
            assert_eq!((visit.status(), visit.header("content-type")), (status, kind), "{path}");
            assert_eq!(visit.body, body, "{path}");
            let head = wearer.curl(&[version, "-I"], path).await;
            assert_eq!(head.status(), status, "{path}");
            assert_eq!(head.header("content-length"), Some(&*body.len().to_string()), "{path}");
        }
        let visit = wearer.curl(&[version], "/deep?x=1").await;
        assert_eq!((visit.status(), visit.header("location")), ("301", Some("/deep/?x=1")));
    }
}

#[tokio::test]
async fn no_path_leads_to_what_is_not_public() {
    let wearer = files().await;
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/deep/../../secret",
        "/.env",
        "/%2eenv",
        "/out",
        "//etc/passwd",
        "/deep/..%00/",
        "/%",
        "/index.html/",
    ] {
        for version in ["--http1.1", "--http2"] {
            let visit = wearer.curl(&[version], path).await;
            assert_eq!(visit.status(), "404", "{path}: {visit:?}");
            assert_eq!(visit.body, b"<h1>lost</h1>", "{path}");
        }
    }
}

#[tokio::test]
async fn whoever_has_a_page_already_is_told_so_and_parts_are_served() {
    let wearer = files().await;
    let first = wearer.curl(&[], "/video.mp4").await;
    assert_eq!(first.body.len(), 1 << 20);
    let tag = format!("If-None-Match: {}", first.header("etag").expect("a tag"));
    let since = format!("If-Modified-Since: {}", first.header("last-modified").expect("a time"));
    for condition in [&tag, &since] {
        let visit = wearer.curl(&["-H", condition], "/video.mp4").await;
        assert_eq!((visit.status(), visit.body.len()), ("304", 0), "{condition}");
    }
    let other = wearer.curl(&["-H", "If-None-Match: \"other\""], "/video.mp4").await;
    assert_eq!(other.status(), "200");

    for version in ["--http1.1", "--http2"] {
        let part = wearer.curl(&[version, "-r", "100000-100099"], "/video.mp4").await;
        assert_eq!(part.status(), "206");
        assert_eq!(part.header("content-range"), Some("bytes 100000-100099/1048576"));
        assert_eq!(part.body, first.body[100_000..100_100]);
        let last = wearer.curl(&[version, "-r", "-5"], "/video.mp4").await;
        assert_eq!(last.body, first.body[(1 << 20) - 5..]);
        let several = wearer.curl(&[version, "-r", "0-1,5-6"], "/video.mp4").await;
        assert_eq!((several.status(), several.body.len()), ("200", 1 << 20));
        let beyond = wearer.curl(&[version, "-r", "1048576-"], "/video.mp4").await;
        assert_eq!(beyond.status(), "416");
        assert_eq!(beyond.header("content-range"), Some("bytes */1048576"));
    }
}

#[tokio::test]
async fn text_is_compressed_for_those_who_take_it() {
    let wearer = files().await;
    let plain = wearer.curl(&[], "/large.html").await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed = wearer.curl(&["-H", "Accept-Encoding: gzip"], "/large.html").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 10);
    assert_ne!(packed.header("etag"), plain.header("etag"));
    // curl itself takes it apart.
    let unpacked = wearer.curl(&["--compressed"], "/large.html").await;
    assert_eq!(unpacked.body, plain.body);
    let beside = wearer.curl(&["-H", "Accept-Encoding: gzip"], "/packed.js").await;
    assert_eq!(beside.body, b"(gzip)");
    assert_eq!(beside.header("content-type"), Some("text/javascript; charset=utf-8"));
    let video = wearer.curl(&["-H", "Accept-Encoding: gzip"], "/video.mp4").await;
    assert_eq!(video.header("content-encoding"), None);
}

#[tokio::test]
async fn what_a_website_does_not_do_is_refused_as_by_a_website() {
    let wearer = files().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let visit = wearer.curl(&["-X", method], "/").await;
        assert_eq!((visit.status(), visit.header("allow")), ("405", Some("GET, HEAD")), "{method}");
    }
    // A proxy's visitor.
    let at = wearer.address.to_string();
    let proxy = format!("https://{at}");
    let trusted = wearer.trusted();
    let trusted = trusted.to_str().expect("a path");
    let printed =
        text("curl", &["-sSv", "-x", &proxy, "--proxy-cacert", trusted, "https://example.org/"])
            .await;
    assert!(printed.contains("HTTP/1.1 405 Method Not Allowed"), "{printed}");

    let printed =
        text("curl", &["-sSi", "-x", &proxy, "--proxy-cacert", trusted, "http://example.org/"])
            .await;
    assert!(printed.contains("<h1>home</h1>"), "as any web server, by its path: {printed}");
}

#[tokio::test]
async fn another_client_of_http2_gets_the_same() {
    let wearer = files().await;
    let url = format!("https://127.0.0.1:{}", wearer.address.port());
    let printed =
        text("nghttp", &["-v", "--no-verify-peer", &format!("{url}/"), &format!("{url}/deep/")])
            .await;
    assert!(printed.contains("<h1>home</h1>") && printed.contains("deep"), "{printed}");
    assert_eq!(printed.matches(":status: 200").count(), 2, "{printed}");
    assert!(!printed.contains("enable_connect_protocol"), "{printed}");
}

/// What OpenSSL says about a handshake.
async fn shake(wearer: &Wearer, arguments: &[&str]) -> String {
    let at = wearer.address.to_string();
    let all = [&["s_client", "-connect", &at, "-servername", NAME][..], arguments].concat();
    text("openssl", &all).await
}

#[tokio::test]
async fn tls_is_that_of_an_ordinary_server() {
    let wearer = wear(NoRooms, |_, _| {}).await;
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let printed = shake(&wearer, &[version, "-alpn", "h2,http/1.1"]).await;
        assert!(printed.contains(&format!("New, {shown}")), "{printed}");
        assert!(printed.contains("ALPN protocol: h2"), "{printed}");
    }
    let old = shake(&wearer, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).await;
    assert!(old.contains("alert handshake failure"), "{old}");
    let unknown = shake(&wearer, &["-alpn", "smtp"]).await;
    assert!(unknown.contains("alert no application protocol"), "{unknown}");
    // Nothing is to be proven now: the same as for any unknown protocol.
    let proof = shake(&wearer, &["-alpn", "acme-tls/1"]).await;
    assert!(proof.contains("alert no application protocol"), "{proof}");

    // Recorded today, it must not be read in twenty years.
    let stream = common::tls(&wearer, &["h2"]).await;
    let group = stream.get_ref().1.negotiated_key_exchange_group().expect("one");
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);

    let session = wearer.home.path().join("session");
    let session = session.to_str().expect("a path");
    let at = wearer.address.to_string();
    // TLS 1.3's tickets come after the handshake: something must be read.
    let script = format!(
        "(printf 'GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'; sleep 1) | \
         openssl s_client -connect {at} -tls1_3 -ign_eof -sess_out {session} >&2; \
         openssl s_client -connect {at} -tls1_3 -sess_in {session} </dev/null"
    );
    let again = text("sh", &["-c", &script]).await;
    assert!(again.contains("Reused, TLSv1.3"), "{again}");
}

#[tokio::test]
async fn without_tls_there_is_the_same_site_or_the_way_to_it() {
    let visit = |wearer: &Wearer, path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", wearer.plain.port());
        async move { text("curl", &["-sSi", "-H", "Host: relay.test:80", &url]).await }
    };
    let same = files().await;
    assert!(visit(&same, "/").await.ends_with("<h1>home</h1>"));
    let redirecting = wear(NoRooms, |settings, _| settings.redirect = true).await;
    let printed = visit(&redirecting, "/a?b=c").await;
    assert!(printed.starts_with("HTTP/1.1 301"), "{printed}");
    assert!(printed.contains("location: https://relay.test/a?b=c\r\n"), "{printed}");
}

#[tokio::test]
async fn a_site_that_is_not_there_is_said_at_the_start() {
    let home = tempfile::tempdir().expect("a directory");
    let identity = front::Identity::SelfSigned(vec![NAME.parse().expect("a name")]);
    let mut settings = front::Settings::new(home.path().join("tls"), identity);
    settings.site = Site::Directory(Path::new("/nowhere").to_owned());
    let error = front::Front::open(settings).map(|_| ()).expect_err("there is none");
    assert!(error.to_string().contains("/nowhere"), "{error}");
}
