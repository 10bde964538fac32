//! The layouts that never change, against bytes made outside this code by
//! docs/contract_vectors.py.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tradewind_domain::{Account, EntityKey, EntityKind, KeyId, Tenant, Timestamp, Vendor, key_owner_digest};
use tradewind_ports::{Clock, KeyVault as _, SealingKey};
use tradewind_wire::vault::KeyEntry;

use crate::copy::{Mark, TopicCopy};
use crate::file_vault::FileVault;
use crate::frame::{FrameWriter, HEADER_BYTES, Kind, header};
use crate::index::{key_at, owner_key};
use crate::installation_key::InstallationKey;

const WRAPPED: &str = "\
    6f1920d6dd513a410d7e9ee7df2181cde0087a6b98093857156054ab2504fcb39659af84891d8ac9ba6948c051291983";
/// A key, then the erasure of another.
const VAULT: &str = "\
    54575641554c5431a344ad8fee69a10b88ad903ea9880cfa26bca3bf0000008424e646c9ff986cb90100810a106b65792d69\
    642d303030303030303031120464656d6f1a20191790b3bd31eeda000e30a2f8cd39d7ce67a8b26b258f7a776312213e60c6\
    b622306f1920d6dd513a410d7e9ee7df2181cde0087a6b98093857156054ab2504fcb39659af84891d8ac9ba6948c0512919\
    832a0c6e6f6e63652d3030303030313080d095ffbc3100000013cf51a902a43873b70200106b65792d69642d303030303030\
    303032";
/// A key and how far the topic was read, in one frame.
const COPY: &str = "\
    54574b4559533031a344ad8fee69a10b88ad903ea9880cfa285fc2ea000000af96790234f01df9980100810a106b65792d69\
    642d303030303030303031120464656d6f1a20191790b3bd31eeda000e30a2f8cd39d7ce67a8b26b258f7a776312213e60c6\
    b622306f1920d6dd513a410d7e9ee7df2181cde0087a6b98093857156054ab2504fcb39659af84891d8ac9ba6948c0512919\
    832a0c6e6f6e63652d3030303030313080d095ffbc3103002800000000000000080000018bcfe5680000000000000000076b\
    65792d69642d303030303030303031";

const NOON: Timestamp = Timestamp::from_millis(1_700_000_000_000);

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOON
    }
}

fn counted<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|index| from + u8::try_from(index).unwrap())
}

fn installation_key(directory: &Path) -> InstallationKey {
    let path = directory.join("key");
    InstallationKey::create(&path).unwrap();
    fs::write(&path, counted::<32>(0)).unwrap();
    InstallationKey::load(&path).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn written(directory: &Path, hex: &str) -> PathBuf {
    let path = directory.join("file");
    fs::write(&path, bytes(hex)).unwrap();
    path
}

fn entry() -> KeyEntry {
    let (vendor, account) = (Vendor::new("shopify").unwrap(), Account::new("demo.myshopify.com").unwrap());
    let cart = EntityKey::at_vendor(EntityKind::Cart, &vendor, &account, "eeafa272cebfd4b22385bc4b645e762c");
    let tenant = Tenant::new("demo").unwrap();
    KeyEntry {
        id: KeyId::from_bytes(*b"key-id-000000001"),
        owner: key_owner_digest(&tenant, &cart),
        tenant,
        wrapped: bytes(WRAPPED).into(),
        nonce: *b"nonce-000001",
        created_at: NOON,
    }
}

fn check(key: &SealingKey) {
    assert_eq!((key.id, key.key), (entry().id, counted(32)));
}

fn mark() -> Mark {
    Mark { next: 8, in_step_at: NOON, last: Some((7, entry().id)) }
}

#[test]
fn a_key_wrapped_elsewhere_is_unwrapped() {
    let directory = tempfile::tempdir().unwrap();
    check(&installation_key(directory.path()).unwrap(&entry()).unwrap());
}

#[test]
fn a_vault_is_these_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let with = installation_key(directory.path());
    let mut file = header(Kind::Vault, with.check());
    let mut made = FrameWriter::default();
    made.push_key(&entry());
    file.extend(made.finish(HEADER_BYTES as u64).0);
    let mut erased = FrameWriter::default();
    erased.push_erased(KeyId::from_bytes(*b"key-id-000000002"));
    file.extend(erased.finish(file.len() as u64).0);
    assert_eq!(file, bytes(VAULT));

    let opened = FileVault::open(&written(directory.path(), VAULT), with, Arc::new(Noon)).unwrap();
    assert_eq!(opened.cut, None);
    check(&opened.vault.key_of(&entry().tenant, &entry().owner).unwrap());
}

#[test]
fn a_copy_of_the_topic_is_these_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let with = installation_key(directory.path());
    let mut file = header(Kind::Copy, with.check());
    let mut frame = FrameWriter::default();
    frame.push_key(&entry());
    frame.push_mark(&mark().encode());
    file.extend(frame.finish(HEADER_BYTES as u64).0);
    assert_eq!(file, bytes(COPY));

    let copy = TopicCopy::open(&written(directory.path(), COPY), &with, NOON).unwrap().unwrap();
    assert_eq!(copy.mark, mark());
    let place = copy.index.of_owner(&owner_key(&entry().tenant, &entry().owner)).unwrap();
    check(&key_at(&copy.file, place, &with).unwrap());
}
