//! The policies and workflows of the three systems: the files of `examples`, as they are.

use std::fs;
use std::path::Path;

/// One file of a repository: repository, path, content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub repository: String,
    pub path: String,
    pub content: String,
}

pub fn file(repository: &str, path: &str, content: &str) -> File {
    File { repository: repository.to_owned(), path: path.to_owned(), content: content.to_owned() }
}

/// The files of an example, such as `preview`.
pub fn example(name: &str) -> Vec<File> {
    let organisation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join(super::house::OWNER);
    let mut files = Vec::new();
    for repository in fs::read_dir(&organisation).unwrap() {
        let root = repository.unwrap().path();
        let repository = root.file_name().unwrap().to_str().unwrap().to_owned();
        collect(&root, &root, &repository, &mut files);
    }
    files
}

fn collect(root: &Path, folder: &Path, repository: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, repository, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.push(file(repository, name, &fs::read_to_string(&path).unwrap()));
        }
    }
}
