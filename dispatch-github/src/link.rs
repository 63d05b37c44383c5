//! `Link` headers ("Using pagination in the REST API"): where other pages of a list are. Their addresses are never requested;
//! a parameter is taken of them, and the request is made anew with it.

use http::HeaderMap;
use http::header::LINK;
use percent_encoding::percent_decode_str;

/// The query of the address of another page: `next`, `last`. None: no such page is named. Empty: its address has none.
pub(crate) fn query<'a>(headers: &'a HeaderMap, page: &str) -> Option<&'a str> {
    let relation = format!("rel=\"{page}\"");
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok()).flat_map(|link| link.split(','));
    let link = links.map(str::trim).find(|link| link.contains(&relation))?;
    let url = link.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(url, _)| url);
    Some(url.and_then(|url| url.split_once('?')).map_or("", |(_, query)| query))
}

/// A parameter of a query.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}
