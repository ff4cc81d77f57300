//! The wire format, frozen: every message encodes to the committed bytes and decodes back to itself.
//!
//! A change of these bytes breaks peers of an older release. When it is meant, raise `WIRE_VERSION` and write
//! the files anew with `LEDGERCAST_BLESS=1 cargo test --package ledgercast-tests --test conformance`.

mod examples;

use bytes::Bytes;
use ledgercast_protocol::wire::Message;
use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance/frames").join(format!("{name}.hex"))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.trim().bytes().map(|c| (c as char).to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_message_keeps_its_bytes() {
    let is_blessing = std::env::var_os("LEDGERCAST_BLESS").is_some();
    for (name, message) in examples::messages() {
        let encoded = message.encode();
        if is_blessing {
            std::fs::write(file(name), to_hex(&encoded) + "\n").expect("write the frozen bytes");
        }
        let frozen = std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(to_hex(&encoded), frozen.trim(), "{name} no longer has its frozen bytes");
    }
}

#[test]
fn every_frozen_frame_decodes_to_its_message() {
    for (name, message) in examples::messages() {
        let text = std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoded = Message::decode(Bytes::from(from_hex(&text)));
        assert_eq!(decoded.unwrap_or_else(|error| panic!("{name}: {error}")), message, "{name}");
    }
}

#[test]
fn every_kind_of_message_has_an_example_and_no_file_is_left_over() {
    let mut names: Vec<String> = examples::messages().iter().map(|(name, _)| format!("{name}.hex")).collect();
    let folder = file("x").parent().expect("a folder").to_owned();
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the frozen frames")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    files.sort();

    assert_eq!(files, names);
    for (name, message) in examples::messages() {
        assert!(name.starts_with(message.kind()), "{name} is no example of {}", message.kind());
    }
}

#[test]
fn a_cut_frame_never_decodes_to_the_same_message() {
    for (name, message) in examples::messages() {
        let encoded = message.encode();
        for length in 0..encoded.len() {
            let cut = Message::decode(encoded.slice(..length));
            assert!(
                cut.ok().as_ref() != Some(&message),
                "{name} cut to {length} bytes is taken for the whole"
            );
        }
    }
}
