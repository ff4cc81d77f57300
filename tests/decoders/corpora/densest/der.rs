//! Certificates and revocation lists whose names, extensions or entries say nothing, as often as fits. Nobody
//! has signed them: they are parsed all the same.

use bytes::Bytes;
use ledgercast_crypto::certificate::CERTIFICATE_BYTES_MAX;
use ledgercast_crypto::revocation::REVOCATION_LIST_BYTES_MAX;
use ledgercast_decoders::{Target, certificate, frame, revocation_list};

const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const TIME: &[u8] = b"\x17\x0d250101000000Z";
const SIGNATURE: &[u8] = &[3, 2, 0, 7];
/// A relative name of one attribute: an identifier of one byte and no text.
const NAME: &[u8] = &[0x31, 7, 0x30, 5, 6, 1, 0x2a, 0x0c, 0];
/// A DNS name without letters.
const DNS: &[u8] = &[0x82, 0];
const POINT: &[u8] = &[0x30, 6, 0xa0, 4, 0xa0, 2, 0x82, 0];

pub(super) fn inputs() -> Vec<(&'static Target, String, Bytes)> {
    let mut inputs = Vec::new();
    for doublings in 4..17 {
        let count = (1 << doublings) + 1;
        for (name, names, extensions) in [
            ("relative names", NAME.repeat(count), Vec::new()),
            ("names of the holder", Vec::new(), extension(0x11, &DNS.repeat(count))),
            ("distribution points", Vec::new(), extension(0x1f, &POINT.repeat(count))),
            ("usages", Vec::new(), extension(0x25, &[6, 1, 0x2a].repeat(count))),
            ("extensions", Vec::new(), node(0x30, &[6, 1, 0x2a, 4, 0]).repeat(count)),
        ] {
            let name = format!("{count} {name}");
            let certificate = to_certificate(&names, &extensions);
            if certificate.len() <= CERTIFICATE_BYTES_MAX {
                let hello = nested(10, &nested(18, &nested(10, &certificate)));
                inputs.push((&frame::TARGET, format!("hello: {name}"), hello.into()));
                inputs.push((&certificate::TARGET, name.clone(), certificate.into()));
            }
            let list = to_list(&names, &extensions);
            if list.len() <= REVOCATION_LIST_BYTES_MAX {
                inputs.push((&revocation_list::TARGET, name, list.into()));
            }
        }
    }
    inputs
}

fn to_certificate(issuer: &[u8], extensions: &[u8]) -> Vec<u8> {
    let key = node(0x30, &[ED25519, &node(3, &[0; 33])].concat());
    let validity = node(0x30, &TIME.repeat(2));
    let (issuer, subject) = (node(0x30, issuer), node(0x30, &[]));
    let extensions = node(0xa3, &node(0x30, extensions));
    let version_and_serial: &[u8] = &[0xa0, 3, 2, 1, 2, 2, 1, 1];
    let parts = [version_and_serial, ED25519, &issuer, &validity, &subject, &key, &extensions];
    node(0x30, &[&node(0x30, &parts.concat()), ED25519, SIGNATURE].concat())
}

fn to_list(issuer: &[u8], extensions: &[u8]) -> Vec<u8> {
    let extensions = node(0xa0, &node(0x30, extensions));
    let parts = [&[2, 1, 1], ED25519, &node(0x30, issuer), TIME, &extensions];
    node(0x30, &[&node(0x30, &parts.concat()), ED25519, SIGNATURE].concat())
}

/// An extension of X.509 (2.5.29.x) with a sequence.
fn extension(last: u8, entries: &[u8]) -> Vec<u8> {
    let content = node(4, &node(0x30, entries));
    node(0x30, &[&[6, 3, 0x55, 0x1d, last][..], &content].concat())
}

/// Tag, length in three bytes or one, content.
fn node(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = content.len().to_be_bytes();
    let head: &[u8] = match content.len() {
        0..128 => &[tag, low],
        128..256 => &[tag, 0x81, low],
        256..65_536 => &[tag, 0x82, middle, low],
        _ => &[tag, 0x83, high, middle, low],
    };
    [head, content].concat()
}

/// A field of protobuf with this key, and a length in three bytes.
fn nested(key: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = [key, (length % 128) as u8 | 128, (length / 128 % 128) as u8 | 128, (length / 16_384) as u8];
    [&head[..], content].concat()
}
