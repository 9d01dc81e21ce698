// PID 1 of a node: flags and wiring.
@main struct NodeAgent {
    static func main() {}
}
