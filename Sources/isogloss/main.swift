import Commands

Program(tasks: standardTasks).main()
