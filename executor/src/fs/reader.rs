//! A [`File`] as a reader of [`io`](crate::io): what it is read with there begins at the cursor, and moves it.

use super::File;
use crate::buf::{BufResult, IoBufMut};
use crate::io::AsyncReadOwned;

impl AsyncReadOwned for File {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        File::read(self, buf).await
    }
}

impl AsyncReadOwned for &File {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        File::read(self, buf).await
    }
}
