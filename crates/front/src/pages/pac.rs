//! The proxy's address in the form that browsers and systems take from a URL: a PAC file.

use wire::target::{Host, Target};

use super::Page;

/// Everything goes by this proxy, over TLS; nothing when it does not answer. What is in the person's
/// own house stays there, and the proxy's own website is where the proxy is, which leads nobody to
/// itself. The file holds no password, as it has no place for one: the browser asks
/// for it at the address that the page names, which is reached by the proxy like any other.
#[must_use]
pub fn pac(proxy: &Target) -> Page {
    let own = match &proxy.host {
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    };
    let script = format!(
        r#"function FindProxyForURL(url, host) {{
  var home = /^(localhost|[^.:]+|.*\.local|(127|10|192\.168|169\.254|172\.(1[6-9]|2[0-9]|3[01]))(\.[0-9]+)+|\[?::1\]?|\[?(f[cd]|fe80)[0-9a-f]*:.*)$/i;
  return home.test(host) || host == "{own}" ? "DIRECT" : "HTTPS {proxy}";
}}
"#
    );
    Page::new(200, "application/x-ns-proxy-autoconfig", "default-src 'none'", script)
}
