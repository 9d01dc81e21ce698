// The server and its command line.
@main struct Lectern {
    static func main() {}
}
