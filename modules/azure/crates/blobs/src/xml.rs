//! The XML documents that the service answers with.
//!
//! Source: Azure Blob Storage REST API, "Get Block List" and "List Blobs".

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A committed block list.
#[derive(Debug, Deserialize)]
pub(crate) struct Blocks {
    #[serde(rename = "CommittedBlocks", default)]
    pub(crate) committed: Committed,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Committed {
    #[serde(rename = "Block", default)]
    pub(crate) block: Vec<Block>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Block {
    #[serde(rename = "Name")]
    pub(crate) name: String,
    #[serde(rename = "Size")]
    pub(crate) size: u64,
}

/// A page of a container's blobs.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    #[serde(rename = "Blobs", default)]
    pub(crate) blobs: Blobs,
    #[serde(rename = "NextMarker")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Blobs {
    #[serde(rename = "Blob", default)]
    pub(crate) blob: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Blob {
    #[serde(rename = "Name")]
    pub(crate) name: String,
    #[serde(rename = "Properties")]
    pub(crate) properties: Properties,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Properties {
    #[serde(rename = "Etag", default)]
    pub(crate) etag: String,
    #[serde(rename = "Content-Length", default)]
    pub(crate) length: u64,
}

/// A document; `None` when it is none of this kind.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    quick_xml::de::from_reader(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn names_are_decoded_and_what_is_missing_is_said() {
        let blob = |name: &str| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Last-Modified>x</Last-Modified><Etag>0x1</Etag>\
                 <Content-Length>12</Content-Length></Properties><OrMetadata /></Blob>"
            )
        };
        let head = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\"><Prefix>p</Prefix>";
        let page = format!(
            "{head}<Blobs>{}{}</Blobs><NextMarker>m&amp;n</NextMarker></EnumerationResults>",
            blob("a&amp;b&#x41;&#66;&lt;"),
            blob("c d")
        );
        let page: Listing = parse(page.as_bytes()).unwrap();
        let names: Vec<&str> = page.blobs.blob.iter().map(|blob| blob.name.as_str()).collect();
        assert_eq!(names, ["a&bAB<", "c d"]);
        assert_eq!((page.blobs.blob[0].properties.length, page.next_marker.as_deref()), (12, Some("m&n")));
        let empty: Listing = parse(format!("{head}<Blobs /><NextMarker /></EnumerationResults>").as_bytes()).unwrap();
        assert!(empty.blobs.blob.is_empty() && empty.next_marker.unwrap_or_default().is_empty());

        let list = b"<?xml version=\"1.0\"?><BlockList><CommittedBlocks><Block><Name>QQ==</Name><Size>7</Size></Block></CommittedBlocks></BlockList>";
        let list: Blocks = parse(list).unwrap();
        assert_eq!((list.committed.block[0].name.as_str(), list.committed.block[0].size), ("QQ==", 7));
        let none: Blocks = parse(b"<BlockList><CommittedBlocks /></BlockList>").unwrap();
        assert!(none.committed.block.is_empty());
        for broken in [
            "",
            "<BlockList>",
            "<BlockList><CommittedBlocks><Block><Name>QQ==</Name><Size>x</Size></Block></CommittedBlocks></BlockList>",
        ] {
            assert!(parse::<Blocks>(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
