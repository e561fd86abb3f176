//! [`Datagram`]: a message that was received for nobody, until its source hands it out.

use crate::driver::Name;

/// One message, as far as the buffer of the receive that took it had room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    /// How long it was when it was sent; more than there are bytes, if it was cut.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) sender: Name,
}
