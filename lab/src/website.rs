//! An ordinary website: what a relay hides behind, and what strangers should find there.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::tools;

/// A website that runs until it is dropped.
#[derive(Debug)]
pub struct Website {
    server: Child,
    at: SocketAddr,
}

impl Website {
    /// Opens an HTTPS site on a host, which bears this name from now on, with a certificate that
    /// nobody vouches for.
    ///
    /// # Errors
    /// [`Error::Missing`] without Python or OpenSSL, and whatever the system refuses.
    pub fn https(host: &Host, port: u16, name: &str) -> Result<Self> {
        host.call(name)?;
        let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        Self::start(host, port, &certificate(host, name, &curve)?)
    }

    /// Opens an HTTPS site as most are, with nginx, on a host, which bears this name from now on. It
    /// loses its patience after a second, and what it sends in a handshake is always as long.
    ///
    /// # Errors
    /// [`Error::Missing`] without nginx or OpenSSL, and whatever the system refuses.
    pub fn nginx(host: &Host, port: u16, name: &str) -> Result<Self> {
        Self::nginx_with(host, port, name, "ssl_protocols TLSv1.2 TLSv1.3;")
    }

    /// The same with other directives for its TLS.
    ///
    /// # Errors
    /// As [`Website::nginx`].
    pub fn nginx_with(host: &Host, port: u16, name: &str, tls: &str) -> Result<Self> {
        tools::need("nginx")?;
        host.call(name)?;
        let [certificate, key] = certificate(host, name, &["rsa:2048"])?;
        let folder = host.folder()?;
        let at = SocketAddr::new(host.v4(), port);
        let (shown, certificate, key) = (folder.display(), certificate.display(), key.display());
        let configuration = format!(
            "daemon off; master_process off; pid {shown}/pid; error_log {shown}/errors;
            events {{ worker_connections 1024; }}
            http {{
              access_log off; client_header_timeout 1s; keepalive_timeout 1s; lingering_timeout 1s;
              client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
              fastcgi_temp_path {shown}/fastcgi; uwsgi_temp_path {shown}/uwsgi;
              scgi_temp_path {shown}/scgi;
              server {{
                listen {at} ssl http2 backlog=1024; server_name {name}; root {shown};
                ssl_certificate {certificate}; ssl_certificate_key {key};
                {tls}
              }}
            }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).doing("writing a configuration")?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        let site = Self { server: host.spawn(command)?, at };
        for _ in 0..500 {
            if host.run(async move || Ok(TcpStream::connect(at).await?)).is_ok() {
                return Ok(site);
            }
            thread::sleep(Duration::from_millis(10));
        }
        let errors = std::fs::read_to_string(folder.join("errors")).unwrap_or_default();
        Err(Error::Unexpected(format!("nginx does not answer: {errors}")))
    }

    /// Opens an HTTP site on a host, which bears this name from now on.
    ///
    /// # Errors
    /// [`Error::Missing`] without Python, and whatever the system refuses.
    pub fn http(host: &Host, port: u16, name: &str) -> Result<Self> {
        host.call(name)?;
        Self::start(host, port, &[])
    }

    /// Where it is: on the first IPv4 address of its host.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    fn start(host: &Host, port: u16, certificate: &[PathBuf]) -> Result<Self> {
        tools::need("python3")?;
        let at = SocketAddr::new(host.v4(), port);
        let mut command = Command::new("python3");
        command
            .arg(tools::own("servers/website.py"))
            .args([at.ip().to_string(), port.to_string()])
            .args(certificate)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut server = host.spawn(command)?;
        let stdout = server.stdout.take().expect("piped");
        let site = Self { server, at };
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().transpose().doing("starting a website")?;
        if first.as_deref() != Some("listening") {
            return Err(Error::Unexpected(format!("website.py printed {first:?}")));
        }
        // Read on, or it would stop when the pipe is full.
        thread::spawn(move || lines.for_each(drop));
        Ok(site)
    }
}

impl Drop for Website {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The files of a new certificate for a name and of its key, of the kind that most websites have.
///
/// # Errors
/// As [`certificate`].
pub fn self_signed(host: &Host, name: &str) -> Result<[PathBuf; 2]> {
    certificate(host, name, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
}

/// The files of a new certificate and its key, of a kind that OpenSSL knows. Nobody vouches for it, and
/// everybody here can read both.
///
/// # Errors
/// [`Error::Missing`] without OpenSSL, and whatever the system refuses.
pub fn certificate(host: &Host, name: &str, kind: &[&str]) -> Result<[PathBuf; 2]> {
    tools::need("openssl")?;
    let folder = host.folder()?;
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|file| folder.join(file));
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-nodes", "-days", "30", "-newkey"])
        .args(kind)
        .args(["-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command.output().doing("making a certificate")?;
    if output.status.success() {
        let readable = Permissions::from_mode(0o644);
        std::fs::set_permissions(&key, readable).doing("making a certificate")?;
        return Ok([certificate, key]);
    }
    Err(Error::Command {
        command: "openssl req".to_owned(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// What curl on `host` gets from `at` when it is told that the site `url` is there: status, headers
/// and page, or what curl said.
///
/// # Errors
/// [`Error::Missing`] without curl, and whatever the system refuses.
pub fn fetch(host: &Host, url: &str, at: SocketAddr) -> Result<Result<String, String>> {
    curl(host, &["--connect-to", &format!("::{at}"), url])
}

/// What curl on `host` gets by way of a proxy, `socks5://..` or `http://..`, which finds the host of
/// `url` itself; `more` is given to curl too.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_by(
    host: &Host,
    proxy: &str,
    url: &str,
    more: &[&str],
) -> Result<Result<String, String>> {
    // curl calls it "socks5h" when names are the proxy's task.
    let proxy = proxy.replace("socks5:", "socks5h:");
    curl(host, &[&["--proxy", &proxy, url], more].concat())
}

/// What curl on `host` gets with these arguments.
///
/// # Errors
/// As [`fetch`].
pub fn curl(host: &Host, arguments: &[&str]) -> Result<Result<String, String>> {
    tools::need("curl")?;
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--insecure", "--include", "--max-time", "10"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = host.output(command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(Ok(text(&output.stdout)));
    }
    Ok(Err(text(&output.stderr)))
}

/// Base 64, as credentials are written in HTTP.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}
