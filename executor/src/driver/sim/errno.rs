//! Numbers of errors by their names.

use std::borrow::Cow;

macro_rules! names {
    ($($name:ident)*) => {
        /// The name of an error, or its number if it is a rare one.
        pub(crate) fn errno_name(errno: i32) -> Cow<'static, str> {
            match errno {
                $(libc::$name => Cow::Borrowed(stringify!($name)),)*
                other => Cow::Owned(format!("error {other}")),
            }
        }
    };
}

names! {
    EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL
    ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE ERANGE ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP ENOTSOCK
    EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL
    ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY
    EINPROGRESS ECANCELED EOVERFLOW ESTALE EDQUOT ENODATA ETIME EPROTO EBADMSG
}
