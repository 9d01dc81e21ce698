// Standard output, written as a whole whatever takes it.
internal import Glibc
internal import Kernel

enum Output {
    /// False when nobody reads any more.
    static func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let written = PTYFiles.write(1, bytes, from: done)
            if written < 0 { return false }
            // A terminal that someone made non-blocking takes more in a moment.
            if written == 0 { usleep(1000) }
            done += written
        }
        return true
    }
}
