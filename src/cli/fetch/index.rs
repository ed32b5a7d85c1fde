//! A Python package index, as much of it as one file needs.

use std::env;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ureq::ResponseExt as _;
use ureq::tls::{RootCerts, TlsConfig};

/// Most bytes of a package's page.
const MAX_PAGE: u64 = 8 << 20;
/// Most bytes of a file.
const MAX_WHEEL: u64 = 16 << 20;
/// Longest wait for a page or a file, from the first packet to the last.
const PATIENCE: Duration = Duration::from_mins(3);

/// An index by its address, such as `https://pypi.org/simple`.
#[derive(Debug, Clone)]
pub struct PackageIndex {
    address: String,
}

impl PackageIndex {
    /// The index at `address`.
    pub fn new(address: &str) -> Self {
        Self { address: address.trim_end_matches('/').to_owned() }
    }

    /// The index that pip uses: of `PIP_INDEX_URL`, else `pypi.org`.
    pub fn from_environment() -> Self {
        let set = env::var("PIP_INDEX_URL").ok().filter(|address| !address.is_empty());
        Self::new(set.as_deref().unwrap_or("https://pypi.org/simple"))
    }

    /// Its address, without a password.
    pub fn name(&self) -> String {
        without_password(&self.address)
    }

    /// Contents of `file`, one of the files of `package`, and the address it came from.
    ///
    /// # Errors
    ///
    /// If the index cannot be reached, has no such file, or sends more than 16 MiB.
    pub fn download(&self, package: &str, file: &str) -> anyhow::Result<(Vec<u8>, String)> {
        let page = format!("{}/{package}/", self.address);
        let accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";
        let (body, page) = get(&page, accept, MAX_PAGE)?;
        let link = link_to(&String::from_utf8_lossy(&body), file);
        let link = link.with_context(|| format!("{} has no {file}", without_password(&page)))?;
        let (wheel, address) = get(&resolve(&page, &link), "*/*", MAX_WHEEL)?;
        Ok((wheel, without_password(&address)))
    }
}

/// The body of `address`, and where it was after redirections.
fn get(address: &str, accept: &str, limit: u64) -> anyhow::Result<(Vec<u8>, String)> {
    let name = without_password(address);
    ensure!(address.starts_with("https://") || address.starts_with("http://"), "{name} is no web address");
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("mtcmcn/", env!("CARGO_PKG_VERSION")))
        .build();
    let response = ureq::Agent::from(config).get(address).header("Accept", accept).call();
    let mut response = response.with_context(|| format!("cannot get {name}"))?;
    let landed = response.get_uri().to_string();
    let body = response.body_mut().with_config().limit(limit).read_to_vec();
    Ok((body.with_context(|| format!("cannot get all of {name}"))?, landed))
}

/// Where `page`, in JSON or HTML, says that `file` is.
fn link_to(page: &str, file: &str) -> Option<String> {
    if let Ok(page) = serde_json::from_str::<serde_json::Value>(page) {
        let files = page.get("files")?.as_array()?;
        return Some(files.iter().find(|entry| entry["filename"] == file)?["url"].as_str()?.to_owned());
    }
    page.split("href=").skip(1).find_map(|rest| {
        let quote = rest.chars().next().filter(|quote| "\"'".contains(*quote))?;
        let link = rest[1..].split(quote).next()?.split('#').next()?;
        let path = link.split('?').next()?;
        (path.rsplit('/').next() == Some(file)).then(|| link.replace("&amp;", "&"))
    })
}

/// The address that `link` means on the page at `page`.
fn resolve(page: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    if let Some(host_and_path) = link.strip_prefix("//") {
        return format!("{scheme}://{host_and_path}");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut folders: Vec<_> = if link.starts_with('/') { vec![] } else { path.split('/').collect() };
    folders.pop();
    for step in link.trim_start_matches('/').split('/') {
        match step {
            "." => {}
            ".." => drop(folders.pop()),
            step => folders.push(step),
        }
    }
    format!("{scheme}://{host}/{}", folders.join("/"))
}

/// `address` without `user:password@`.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_file_on_json_and_html_pages() {
        let json = r#"{"files": [{"filename": "a-1.whl", "url": "../f/a-1.whl"}, {"filename": "a-2.whl", "url": "https://h/a-2.whl"}]}"#;
        assert_eq!(link_to(json, "a-2.whl").as_deref(), Some("https://h/a-2.whl"));
        assert_eq!(link_to(json, "a-3.whl"), None);
        let html = r#"<a href="/f/ba-1.whl">x</a><a class=c href='/f/a-1.whl?x=1&amp;y=2#sha256=0'>a-1.whl</a>"#;
        assert_eq!(link_to(html, "a-1.whl").as_deref(), Some("/f/a-1.whl?x=1&y=2"));
        assert_eq!(link_to("href=", "a-1.whl"), None);
        assert_eq!(link_to("href=é", "a-1.whl"), None);
    }

    #[test]
    fn resolves_links_as_browsers_do() {
        let page = "https://h:8/simple/a/";
        assert_eq!(resolve(page, "https://g/x"), "https://g/x");
        assert_eq!(resolve(page, "//g/x"), "https://g/x");
        assert_eq!(resolve(page, "/x/y"), "https://h:8/x/y");
        assert_eq!(resolve(page, "x"), "https://h:8/simple/a/x");
        assert_eq!(resolve(page, "../../p/./x"), "https://h:8/p/x");
        assert_eq!(resolve("http://h", "x"), "http://h/x");
        assert_eq!(resolve("http://h/a/", "../../../x"), "http://h/x");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(PackageIndex::new("https://me:secret@h/simple/").name(), "https://h/simple");
        assert_eq!(without_password("https://h/a@b"), "https://h/a@b");
    }
}
