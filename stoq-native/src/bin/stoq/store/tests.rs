//! The store against a real directory, and against a model of it.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tempfile::TempDir;

fn store(quota: u64) -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path(), quota).unwrap();
    (directory, store)
}

fn name(text: &str) -> FileName {
    text.parse().unwrap()
}

fn put(store: &Store, file: &str, content: &[u8]) -> Result<Digest, StoreError> {
    let mut incoming = store.put(name(file), content.len() as u64)?;
    incoming.write_all(content)?;
    incoming.commit()
}

fn read(store: &Store, file: &str) -> Vec<u8> {
    let (mut opened, size) = store.get(&name(file)).unwrap();
    let mut content = Vec::new();
    io::copy(&mut opened, &mut content).unwrap();
    assert_eq!(content.len() as u64, size);
    content
}

fn names(store: &Store) -> Vec<String> {
    store
        .list()
        .unwrap()
        .files
        .into_iter()
        .map(|entry| entry.name.into())
        .collect()
}

/// What lies in DIR/.incoming beside the lock.
fn under_way(directory: &TempDir) -> usize {
    fs::read_dir(directory.path().join(INCOMING))
        .unwrap()
        .count()
        - 1
}

#[test]
fn stores_lists_reads_and_deletes() {
    let (_directory, store) = store(100);
    let digest = put(&store, "b", b"abc").unwrap();
    assert!(digest.to_string().starts_with("ba7816bf8f01cfea"));
    put(&store, "a", b"").unwrap();
    assert_eq!(names(&store), ["a", "b"]);
    assert_eq!(store.list().unwrap().used, 3);
    assert_eq!(read(&store, "b"), b"abc");
    store.delete(&name("b")).unwrap();
    assert_eq!(names(&store), ["a"]);
    assert_eq!(store.list().unwrap().used, 0);
    assert!(matches!(store.get(&name("b")), Err(StoreError::NoSuchFile)));
    assert!(matches!(
        store.delete(&name("b")),
        Err(StoreError::NoSuchFile)
    ));
}

#[test]
fn a_file_under_way_is_not_seen_and_leaves_nothing() {
    let (directory, store) = store(10);
    let mut incoming = store.put(name("a"), 10).unwrap();
    incoming.write_all(b"12345").unwrap();
    assert_eq!(under_way(&directory), 1);
    assert!(names(&store).is_empty());
    assert!(matches!(
        put(&store, "b", b"1"),
        Err(StoreError::QuotaExceeded { size: 1, free: 0 })
    ));
    drop(incoming);
    assert_eq!(under_way(&directory), 0);
    put(&store, "b", b"1234567890").unwrap();
}

#[test]
fn an_incomplete_or_overlong_file_is_not_stored() {
    let (directory, store) = store(10);
    let mut incoming = store.put(name("a"), 3).unwrap();
    assert_eq!(
        incoming.write_all(b"1234").unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
    incoming.write_all(b"12").unwrap();
    assert!(matches!(
        incoming.commit(),
        Err(StoreError::Incomplete { size: 3, got: 2 })
    ));
    assert!(names(&store).is_empty());
    assert_eq!(under_way(&directory), 0);
    put(&store, "a", b"1234567890").unwrap();
}

#[test]
fn the_last_of_two_puts_of_a_name_wins() {
    let (directory, store) = store(100);
    let mut first = store.put(name("a"), 3).unwrap();
    let mut second = store.put(name("a"), 5).unwrap();
    second.write_all(b"later").unwrap();
    first.write_all(b"one").unwrap();
    second.commit().unwrap();
    assert_eq!(read(&store, "a"), b"later");
    let (mut reader, _) = store.get(&name("a")).unwrap();
    first.commit().unwrap();
    assert_eq!(read(&store, "a"), b"one");
    assert_eq!(store.list().unwrap().used, 3);
    assert_eq!(under_way(&directory), 0);
    let mut earlier = Vec::new();
    io::copy(&mut reader, &mut earlier).unwrap();
    assert_eq!(earlier, b"later", "a reader keeps what it opened");
}

#[test]
fn concurrent_puts_stay_within_the_quota_and_whole() {
    let (_directory, store) = store(64 * 1024);
    std::thread::scope(|scope| {
        for writer in 0..8u8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..20 {
                    let file = format!("file-{}", round % 3);
                    match put(store, &file, &vec![writer; 10_000]) {
                        Ok(_) | Err(StoreError::QuotaExceeded { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let contents = store.list().unwrap();
    assert!(!contents.files.is_empty());
    assert_eq!(contents.used, 10_000 * contents.files.len() as u64);
    for entry in contents.files {
        let content = read(&store, entry.name.as_str());
        assert_eq!(content.len(), 10_000);
        assert!(
            content.iter().all(|byte| *byte == content[0]),
            "one writer's bytes only"
        );
    }
    put(&store, "rest", &vec![0; 64 * 1024 - 30_000]).unwrap();
}

#[test]
fn leftovers_are_removed_and_files_counted_at_start() {
    let (directory, first) = store(10);
    put(&first, "kept", b"1234").unwrap();
    let leaked = first.put(name("lost"), 6).unwrap();
    let (temporary, _) = leaked.content.finish();
    let (_file, path) = temporary.keep().unwrap();
    drop((leaked.reservation, leaked.store, first));
    assert!(path.exists());

    let second = Store::open(directory.path(), 10).unwrap();
    assert!(!path.exists());
    assert_eq!(names(&second), ["kept"]);
    assert!(matches!(
        put(&second, "a", b"1234567"),
        Err(StoreError::QuotaExceeded { size: 7, free: 6 })
    ));
}

#[test]
fn one_process_at_a_time_holds_a_directory() {
    let (directory, first) = store(10);
    assert!(matches!(
        Store::open(directory.path(), 10),
        Err(OpenError::InUse)
    ));
    drop(first);
    Store::open(directory.path(), 10).unwrap();
}

#[test]
fn what_others_put_into_the_directory_is_counted_when_listed() {
    let (directory, store) = store(10);
    fs::write(directory.path().join("theirs"), b"12345678").unwrap();
    fs::write(directory.path().join(".hidden"), b"1").unwrap();
    fs::create_dir(directory.path().join("folder")).unwrap();
    assert_eq!(names(&store), ["theirs"]);
    assert!(matches!(
        put(&store, "a", b"123"),
        Err(StoreError::QuotaExceeded { size: 3, free: 2 })
    ));
    assert!(matches!(
        put(&store, "folder", b""),
        Err(StoreError::NotAFile)
    ));
    assert!(matches!(
        store.get(&name("folder")),
        Err(StoreError::NoSuchFile)
    ));
    assert!(matches!(
        store.delete(&name("folder")),
        Err(StoreError::NoSuchFile)
    ));
}

#[cfg(unix)]
#[test]
fn links_are_neither_followed_nor_replaced() {
    use std::os::unix::fs::symlink;
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let (directory, store) = store(100);
    symlink(&secret, directory.path().join("link")).unwrap();
    assert!(names(&store).is_empty());
    assert!(matches!(
        store.get(&name("link")),
        Err(StoreError::NoSuchFile)
    ));
    assert!(matches!(
        store.delete(&name("link")),
        Err(StoreError::NoSuchFile)
    ));
    assert!(matches!(
        put(&store, "link", b"x"),
        Err(StoreError::NotAFile)
    ));

    // One that appears while the file is under way.
    let incoming = store.put(name("late"), 0).unwrap();
    symlink(&secret, directory.path().join("late")).unwrap();
    assert!(matches!(incoming.commit(), Err(StoreError::NotAFile)));
    assert_eq!(fs::read(&secret).unwrap(), b"secret");

    let elsewhere = TempDir::new().unwrap();
    symlink(outside.path(), elsewhere.path().join(INCOMING)).unwrap();
    assert!(matches!(
        Store::open(elsewhere.path(), 1),
        Err(OpenError::NotADirectory { .. })
    ));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, usize),
    Begin(u8, usize),
    Commit(usize),
    Abandon(usize),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, 0..60usize).prop_map(|(file, size)| Step::Put(file, size)),
        (0..4u8, 0..60usize).prop_map(|(file, size)| Step::Begin(file, size)),
        any::<usize>().prop_map(Step::Commit),
        any::<usize>().prop_map(Step::Abandon),
        (0..4u8).prop_map(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any order of steps leaves the store as a map from names to sizes, with reservations, would be.
    #[test]
    fn behaves_as_its_model(steps in prop::collection::vec(step(), 0..40)) {
        const QUOTA: usize = 100;
        let (directory, store) = store(QUOTA as u64);
        let mut model = BTreeMap::<u8, usize>::new();
        let mut begun = Vec::<(u8, usize, Incoming)>::new();
        for step in steps {
            let held = model.values().sum::<usize>() + begun.iter().map(|(_, size, _)| size).sum::<usize>();
            match step {
                Step::Put(file, size) | Step::Begin(file, size) => {
                    let content = vec![file; size];
                    let began = store.put(name(&file.to_string()), size as u64);
                    prop_assert_eq!(began.is_ok(), held + size <= QUOTA);
                    let Ok(mut incoming) = began else { continue };
                    incoming.write_all(&content).unwrap();
                    if matches!(step, Step::Put(..)) {
                        incoming.commit().unwrap();
                        model.insert(file, size);
                    } else {
                        begun.push((file, size, incoming));
                    }
                }
                Step::Commit(index) if !begun.is_empty() => {
                    let (file, size, incoming) = begun.swap_remove(index % begun.len());
                    incoming.commit().unwrap();
                    model.insert(file, size);
                }
                Step::Abandon(index) if !begun.is_empty() => drop(begun.swap_remove(index % begun.len())),
                Step::Delete(file) => {
                    let deleted = store.delete(&name(&file.to_string()));
                    prop_assert_eq!(deleted.is_ok(), model.remove(&file).is_some());
                }
                Step::Commit(_) | Step::Abandon(_) => {}
            }
            let contents = store.list().unwrap();
            let listed: Vec<_> = contents.files.iter().map(|entry| (entry.name.to_string(), entry.size)).collect();
            let expected: Vec<_> = model.iter().map(|(file, size)| (file.to_string(), *size as u64)).collect();
            prop_assert_eq!(listed, expected);
            prop_assert_eq!(contents.used, model.values().sum::<usize>() as u64);
            prop_assert_eq!(under_way(&directory), begun.len());
        }
        for (file, size) in &model {
            prop_assert_eq!(read(&store, &file.to_string()), vec![*file; *size]);
        }
    }
}
