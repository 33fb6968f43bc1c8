extension SampleLanguage {
  static let russian = SampleLanguage(
    "ru",
    openings: """
      вчера :
      как сообщает {O9} ,
      {D9} :
      после переговоров в городе {L9} :
      {P9} говорит :
      """,
    templates: """
      {D1} {P1} посещает город {L1} .
      {P1} работает в компании {O1} с {N1} года .
      {O1} открывает офис в городе {L1} .
      ^в этом году {M1} проходит в городе {L1} .
      {P1} и {P2} встречаются в городе {L1} .
      {C1} побеждает {C2} {N1} : {N2} .
      {L1} , {D1} ( {O1} ) .
      {P1} , родной город — {L1} , побеждает на турнире {M1} .
      ^директор компании {O1} {P1} уходит в отставку , {D1} .
      ^цены выросли на {N1} процентов .
      {O1} покупает {O2} за {N1} миллионов .
      ^тысячи людей пришли на {M1} в городе {L1} .
      « ^мы готовы » , — говорит {P1} .
      {P1} , {P2} , {O1} .
      ^погода остаётся холодной и сухой .
      {P1} работает на {O1} в городе {L1} .
      ^река у города {L1} поднялась на {N1} метров .
      {O1} поддержит {M1} .
      {P1} пишет про {L1} и {L2} .
      ^перед турниром {M1} {P1} тренируется в городе {L1} .
      {O1} отрицает это сообщение .
      {C1} {N1} , {C2} {N2}
      ^поезд {L1} — {L2} опоздал .
      ^никто не знал , почему погас свет .
      {P1} меняет {C1} на {C2} .
      {L1} ждёт .
      {P1} ждёт .
      ^болельщики клуба {C1} пели {N1} минут , но забил {P1} из клуба {C2} .
      """,
    days: "понедельник вторник среда четверг пятница суббота воскресенье",
    organisations: """
      Банк {L}
      Группа {S}
      Университет {L}
      {S} и сыновья
      Вестник {L}
      Авиалинии {S}
      {S}
      """,
    events: """
      Фестиваль {L}
      Премия {S}
      Турнир {L}
      """)

  static let arabic = SampleLanguage(
    "ar",
    openings: """
      أمس ،
      وفقا ل {O9} ،
      يوم {D9} ،
      بعد المحادثات في {L9} ،
      قال {P9} :
      """,
    templates: """
      زار {P1} {L1} يوم {D1} .
      انضم {P1} إلى {O1} عام {N1} .
      افتتحت {O1} مكتبا في {L1} .
      يقام {M1} في {L1} هذا العام .
      التقى {P1} و {P2} في {L1} .
      {C1} فاز على {C2} {N1} : {N2} .
      {L1} ، {D1} ( {O1} ) .
      {P1} ، المولود في {L1} ، فاز في {M1} .
      استقال {P1} مدير {O1} يوم {D1} .
      ارتفعت الأسعار {N1} في المئة .
      اشترت {O1} {O2} مقابل {N1} مليون .
      جاء الآلاف إلى {M1} في {L1} .
      " نحن مستعدون " ، قال {P1} .
      {P1} ، {P2} ، {O1} .
      يبقى الطقس باردا وجافا .
      يعمل {P1} لدى {O1} في {L1} .
      ارتفع النهر قرب {L1} {N1} أمتار .
      سوف ترعى {O1} {M1} .
      كتب {P1} عن {L1} و {L2} .
      قبل {M1} تدرب {P1} في {L1} .
      نفت {O1} الخبر .
      {C1} {N1} ، {C2} {N2}
      تأخر القطار من {L1} إلى {L2} .
      لم يعرف أحد لماذا انطفأت الأضواء .
      غادر {P1} {C1} إلى {C2} .
      {L1} تنتظر .
      {P1} ينتظر .
      غنى جمهور {C1} {N1} دقيقة ، لكن {P1} من {C2} سجل .
      """,
    days: "الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد",
    organisations: """
      بنك {L}
      مجموعة {S}
      جامعة {L}
      {S} وأولاده
      صحيفة {L}
      طيران {S}
      {S}
      """,
    events: """
      مهرجان {L}
      جائزة {S}
      بطولة {L}
      """)

  static let chinese = SampleLanguage(
    "zh",
    openings: """
      昨天 ，
      据 {O9} 报道 ，
      {D9} ，
      在 {L9} 会谈 之后 ，
      {P9} 说 ：
      """,
    templates: """
      {P1} {D1} 访问 了 {L1} 。
      {P1} {N1} 年 加入 了 {O1} 。
      {O1} 在 {L1} 开设 了 办事处 。
      今年 的 {M1} 在 {L1} 举行 。
      {P1} 和 {P2} 在 {L1} 见面 。
      {C1} {N1} : {N2} 战胜 {C2} 。
      {L1} ， {D1} （ {O1} ） 。
      出生 在 {L1} 的 {P1} 赢得 了 {M1} 。
      {O1} 的 主任 {P1} {D1} 辞职 。
      价格 上涨 了 百分之 {N1} 。
      {O1} 以 {N1} 百万 收购 了 {O2} 。
      数千 人 来到 {L1} 参加 {M1} 。
      “ 我们 准备 好 了 ” ， {P1} 说 。
      {P1} 、 {P2} 、 {O1} 。
      天气 依然 寒冷 干燥 。
      {P1} 在 {L1} 为 {O1} 工作 。
      {L1} 附近 的 河水 上涨 了 {N1} 米 。
      {O1} 将 赞助 {M1} 。
      {P1} 写 了 {L1} 和 {L2} 。
      {M1} 之前 ， {P1} 在 {L1} 训练 。
      {O1} 否认 了 这 一 消息 。
      {C1} {N1} ， {C2} {N2}
      从 {L1} 到 {L2} 的 火车 晚点 了 。
      没有 人 知道 灯 为什么 灭 了 。
      {P1} 离开 {C1} 去 了 {C2} 。
      {L1} 在 等待 。
      {P1} 在 等待 。
      {C1} 的 球迷 唱 了 {N1} 分钟 ， 但是 {C2} 的 {P1} 进球 了 。
      """,
    days: "星期一 星期二 星期三 星期四 星期五 星期六 星期日",
    organisations: """
      {L} 银行
      {S} 集团
      {L} 大学
      {S} 父子 公司
      {L} 时报
      {S} 航空
      {S}
      """,
    events: """
      {L} 艺术节
      {S} 奖
      {L} 公开赛
      """)

  static let turkish = SampleLanguage(
    "tr",
    openings: """
      dün ,
      {O9} haberine göre ,
      {D9} günü ,
      {L9} görüşmelerinden sonra ,
      {P9} dedi ki :
      """,
    templates: """
      {P1} , {D1} günü {L1} kentini ziyaret etti .
      {P1} {N1} yılında {O1} kadrosuna katıldı .
      {O1} , {L1} kentinde bir ofis açtı .
      ^bu yıl {M1} , {L1} kentinde yapılıyor .
      {P1} ve {P2} , {L1} kentinde buluştu .
      {C1} , {C2} takımını {N1} : {N2} yendi .
      {L1} , {D1} ( {O1} ) .
      {L1} doğumlu {P1} , {M1} sırasında kazandı .
      {O1} müdürü {P1} , {D1} günü istifa etti .
      ^fiyatlar yüzde {N1} arttı .
      {O1} , {N1} milyona {O2} şirketini aldı .
      ^binlerce kişi {M1} için {L1} kentine geldi .
      “ ^biz hazırız ” , dedi {P1} .
      {P1} , {P2} , {O1} .
      ^hava soğuk ve kuru kalıyor .
      {P1} , {L1} kentinde {O1} için çalışıyor .
      {L1} yakınındaki nehir {N1} metre yükseldi .
      {O1} , {M1} için destek verecek .
      {P1} , {L1} ve {L2} hakkında yazdı .
      {M1} öncesinde {P1} , {L1} kentinde çalıştı .
      {O1} haberi yalanladı .
      {C1} {N1} , {C2} {N2}
      {L1} - {L2} treni gecikti .
      ^ışıkların neden söndüğünü kimse bilmiyordu .
      {P1} , {C1} takımından {C2} takımına geçti .
      {L1} bekliyor .
      {P1} bekliyor .
      {C1} taraftarları {N1} dakika şarkı söyledi , ama {C2} takımından {P1} gol attı .
      """,
    days: "pazartesi salı çarşamba perşembe cuma cumartesi pazar",
    organisations: """
      {L} Bankası
      {S} Grubu
      {L} Üniversitesi
      {S} ve Oğulları
      {L} Gazetesi
      {S} Havayolları
      {S}
      """,
    events: """
      {L} Festivali
      {S} Ödülü
      {L} Açık
      """)
}
