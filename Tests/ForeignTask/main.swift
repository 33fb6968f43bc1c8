import Commands

// The program with one task more, which nothing in Sources knows: see HashedTask.
Program(tasks: standardTasks + [HashedTask.self]).main()
